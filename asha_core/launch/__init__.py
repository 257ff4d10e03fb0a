"""From options, or from a script, to a running search."""
