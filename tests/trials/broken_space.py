from asha_core import Float, SearchSpace

SPACE = SearchSpace({"lr": Float(1.0, 0.1)})
