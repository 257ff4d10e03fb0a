"""Training loops of other libraries, run as trials."""
