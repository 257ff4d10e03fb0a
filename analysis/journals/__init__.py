"""One search, read from its journal."""
