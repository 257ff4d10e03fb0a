"""The engine: everything that touches time, files or processes on behalf of the pure core."""
