"""Tables of learning curves out of searches: recorded on purpose, or from results that are there."""
