"""Estimators on arrays; they know of no journals."""
