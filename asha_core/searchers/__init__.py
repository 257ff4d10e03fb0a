"""Where new configurations come from, one method a file."""
