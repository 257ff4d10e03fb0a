"""A line of a CSV file for each report of a search."""

import csv

from asha_core import Observer, Report


class CsvObserver(Observer):
    """Appends (seconds, trial, unit, value) to a file, as reports come.

    Args:
        path: of the file; made if it is not there, and gone on with if it is.
    """

    def __init__(self, path):
        self._path = path
        self._file = None

    def on_start(self, view):
        self._file = open(self._path, "a", newline="", encoding="utf-8")
        self._writer = csv.writer(self._file)
        if self._file.tell() == 0:
            self._writer.writerow(["seconds", "trial", "unit", "value"])

    def on_event(self, view, event):
        if self._file is not None and isinstance(event, Report):
            self._writer.writerow([f"{view.now:.3f}", event.trial, event.resource, event.value])

    def on_tick(self, view):
        self._file.flush()  # so that others can read along

    def close(self):
        if self._file is not None:
            self._file.close()
            self._file = None
