"""The commands: the composition root, where scheduler, task, workers and console meet."""

from asha_core.own_packages import claim

claim("trials", "warmstart")
