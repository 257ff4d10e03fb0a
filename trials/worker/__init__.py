"""The worker process: jobs in, events out, signs of life, and its end."""
