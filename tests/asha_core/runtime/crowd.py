"""An executor whose slots share devices, can be given up, and stop in their own time."""

from __future__ import annotations

from collections import Counter

from asha_core.messages import Failed, Lost
from asha_core.runtime.executor import Retired
from asha_core.runtime.observers import Observer
from tests.asha_core.runtime.engine_doubles import FakeExecutor, train


class Crowd(FakeExecutor):
    """``devices`` names the device of each slot; several slots may share one.

    It checks at each submit that a job that is to be alone on its device is.
    """

    def __init__(self, clock, devices, work=train, *, stop_seconds=0.0):
        super().__init__(clock, len(devices), work)
        self.devices = list(devices)
        self.retired, self.away = set(), set()
        self.stops, self._stop_seconds = 0, stop_seconds
        self.ran_alone, self.beside = [], Counter()
        self._script = []

    def at(self, time, action):
        """Do something when the time has come."""
        self._script.append((time, action))
        self._script.sort(key=lambda entry: entry[0])

    def free(self):
        return [slot for slot in super().free() if slot not in self.retired | self.away]

    def running(self, device):
        return [
            occupant.job
            for slot, occupant in enumerate(self._occupied)
            if occupant is not None and self.devices[slot] == device
        ]

    def submit(self, job, slot):
        others = self.running(self.devices[slot])
        assert not any(other.alone for other in others), f"{job} was handed out beside one that is alone"
        if job.alone:
            assert not others, f"{job} is not alone"
            self.ran_alone.append(job)
        super().submit(job, slot)

    def retire(self, slot):
        """Give a slot up, as a worker that cannot be started."""
        if self._occupied[slot] is not None:
            job = self._occupied[slot].job
            self._emit(slot, [Lost(job.trial, job.attempt, "it died", "died")])
        self.retired.add(slot)
        self._now.append(Retired(slot, "no worker can be started"))

    def stop(self):
        self.stops += 1
        self.at(self._clock.now() + self._stop_seconds, super().stop)

    def wait(self, timeout):
        self._act()
        events = super().wait(timeout)
        self._act()
        return events

    def _act(self):
        while self._script and self._script[0][0] <= self._clock.now():
            self._script.pop(0)[1]()


def out_of_memory(*trials, always=()):
    """Work in which some trials need a device for themselves, and some need more than one has."""

    def work(job, resource):
        if job.trial in always or (job.trial in trials and not job.alone):
            return [Failed(job.trial, job.attempt, "CUDA out of memory", "oom")]
        return train(job, resource)

    return work


class Heard(Observer):
    """All events, in order."""

    def __init__(self):
        self.events = []

    def on_event(self, view, event):
        self.events.append(event)
