"""What a warm start measures on: a model, its optimiser, its data and its randomness."""
