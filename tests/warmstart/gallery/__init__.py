"""The contract of ``warmstart``: models and loops of many kinds, and a judge that shares nothing with it."""
