from asha_core.testing import ObserverContract
from examples.plugins.csv_observer import CsvObserver


class TestCsvObserver(ObserverContract):
    def observer(self, folder):
        return CsvObserver(folder / "reports.csv")
