"""Ray Tune and Optuna as oracles: the same streams of reports, equal decisions where the rules coincide.

Where they do not coincide, a test states the difference exactly, so that it fails if either side changes.
The promotion rule (``asha_core.schedulers.asha``) has no counterpart in Ray Tune or Optuna, whose rules
all stop for good (Ray's synchronous HyperBandScheduler apart); its oracle is in ``tests/core``.
"""
