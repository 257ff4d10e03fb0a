"""Many paired searches, read and checked."""
