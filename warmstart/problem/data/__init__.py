"""Mini-batches for a warm start: drawn, split, and read where reading leaves no trace."""
