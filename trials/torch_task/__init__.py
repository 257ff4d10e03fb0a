"""The training loop of ``TorchTask``, and how fast it is."""
