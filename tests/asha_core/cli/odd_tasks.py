"""Tasks with spaces that make trouble, for tests of what is refused before a search begins."""

from __future__ import annotations

import multiprocessing
import os
import signal
import subprocess
import time
from pathlib import Path

from asha_core.space import Choice, Float, SearchSpace
from trials.task import Task


class Texts(Task):
    """Options that look like numbers."""

    space = SearchSpace({"o": Choice(["1e-3", "1e-2"]), "w": Choice([0.0, 1e-4]), "x": Float(0.0, 1.0)})
    max_resource = 3

    def run(self, trial):
        for _ in trial.units():
            trial.report(trial.config["x"])


def on_a_line(config):
    return config["x"] + config["y"] == 1.0


class Tight(Texts):
    """A space of which next to nothing is allowed."""

    space = SearchSpace({"x": Float(0.0, 1.0), "y": Float(0.0, 1.0)}, constraints=[on_a_line])


texts = Texts()


class Foreign(Task):
    """Names and output that an encoding of few letters lacks."""

    space = SearchSpace({"größe": Choice(["日本", "naïve", "\udcff"]), "x": Float(0.0, 1.0)})
    metric = "größe_日本"
    unit = "époque"
    max_resource = 3

    def run(self, trial):
        print("größe 日本", flush=True)
        if trial.id == 2:
            raise ValueError("größe 日本 \udcff")
        for _ in trial.units():
            trial.report(trial.config["x"])


class Paced(Task):
    """Units of a given length, whose value tells trial and unit apart; torch only if it is to be saved."""

    space = SearchSpace({"x": Float(0.0, 1.0)})
    max_resource = 9
    unit = "step"

    def __init__(self, seconds: float = 0.0, saves: bool = False, slow_after: int = 10**9) -> None:
        self.seconds, self.saves, self.slow_after = seconds, saves, slow_after

    def run(self, trial):
        state = trial.resume_from() or {"sum": 0.0} if self.saves else {"sum": 0.0}
        for unit in trial.units():
            time.sleep(60 if trial.id >= self.slow_after else self.seconds)
            state["sum"] = unit * trial.config["x"]
            if self.saves:
                trial.save(state)
            trial.report(state["sum"])


class Unruly(Paced):
    """Trial ``who`` does something that no trial should; with a flag file only if it can take that away."""

    def __init__(self, how: str, who: int = 0, flag: str = "", seconds: float = 0.0) -> None:
        super().__init__(seconds)
        self.how, self.who, self.flag = how, who, flag

    def run(self, trial):
        if self.how == "raises":
            raise RuntimeError(f"the wheels came off trial {trial.id}")
        if trial.id == self.who and self._may():
            if self.how == "hangs":
                time.sleep(600)
            os.kill(os.getpid(), {"stops": signal.SIGSTOP, "dies": signal.SIGKILL}[self.how])
        super().run(trial)

    def _may(self) -> bool:
        try:
            if self.flag:
                Path(self.flag).unlink()
        except FileNotFoundError:
            return False
        return True


class Begets(Paced):
    """Starts a process in its worker's group, one in a session of its own, and one of multiprocessing's."""

    def run(self, trial):
        sleeping = [subprocess.Popen(["sleep", "1000"], start_new_session=own) for own in (False, True)]
        sleeping.append(multiprocessing.Process(target=time.sleep, args=(1000,), daemon=True))
        sleeping[-1].start()
        for _ in trial.units():
            time.sleep(0.1)
            trial.report(trial.config["x"])


class Loads(Paced):
    """Trains from a data loader with processes of its own."""

    def run(self, trial):
        from torch.utils.data import DataLoader

        loader = DataLoader(range(10**6), batch_size=1, num_workers=2, persistent_workers=True)
        numbers = iter(loader)
        for _ in trial.units():
            for _ in range(20):
                next(numbers)
                time.sleep(0.02)
            trial.report(trial.config["x"])


class Opaque(Paced):
    """Nothing to differentiate, and a loss that can be measured: least at x = 1."""

    def warm_start_loss(self, config, seed):
        return (1.0 - config["x"]) ** 2
