"""What is still wrong: (kind, steps). Take a line out when it is mended."""

KNOWN_WRONG: set[tuple[str, int]] = {
    ("data set with a generator of its own", 1),
    ("data set with a generator of its own", 2),
    ("detached branch", 1),
    ("detached branch", 2),
    ("equilibrium", 1),
    ("equilibrium", 2),
    ("lengths in a list", 1),
    ("lengths in a list", 2),
    ("list of two batches", 1),
    ("list of two batches", 2),
    ("quantised in training", 1),
    ("quantised in training", 2),
    ("samples by langevin steps", 1),
    ("samples by langevin steps", 2),
    ("words as strings", 1),
    ("words as strings", 2),
}
