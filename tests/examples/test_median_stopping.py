from asha_core.testing import SchedulerContract
from examples.plugins.median_stopping import MedianStopping


class TestMedianStopping(SchedulerContract):
    def scheduler(self, space, **settings):
        return MedianStopping(space, **settings)
