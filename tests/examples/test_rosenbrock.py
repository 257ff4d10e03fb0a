from asha_core.testing import TaskContract
from examples.plugins.rosenbrock import Rosenbrock


class TestRosenbrock(TaskContract):
    def task(self):
        return Rosenbrock(steps=3)
