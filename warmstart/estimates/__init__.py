"""The virtual optimiser step and its derivatives: every route to a hyper-gradient."""
