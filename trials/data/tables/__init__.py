"""Tables: read from wherever they are, checked, split, and encoded by what the training rows say."""

from trials.data.tables.preparing import Prepared, Rows, check, prepared

__all__ = ["Prepared", "Rows", "check", "prepared"]
