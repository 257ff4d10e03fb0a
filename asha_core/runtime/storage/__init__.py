"""What a search keeps on disk: journal, lock, results, and the room that they take."""
