"""The commands: the composition root, where scheduler, task, workers and console meet."""
