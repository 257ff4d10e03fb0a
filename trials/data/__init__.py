"""Data: batches from memory or from a data set, and augmentation."""
