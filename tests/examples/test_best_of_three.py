from asha_core.testing import WarmStartContract
from examples.plugins.best_of_three import BestOfThree


class TestBestOfThree(WarmStartContract):
    def warm_start(self):
        return BestOfThree()
