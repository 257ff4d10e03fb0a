"""Searches in virtual time: recorded learning curves stand in the place of training."""
