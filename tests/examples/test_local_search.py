from asha_core.testing import SearcherContract
from examples.plugins.local_search import LocalSearch


class TestLocalSearch(SearcherContract):
    def searcher(self, space, seed):
        return LocalSearch(space, seed)
