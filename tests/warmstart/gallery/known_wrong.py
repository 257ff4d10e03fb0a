"""What is still wrong: (kind, steps). Take a line out when it is mended."""

KNOWN_WRONG: set[tuple[str, int]] = {
    ("detached branch", 1),
    ("detached branch", 2),
    ("equilibrium", 1),
    ("equilibrium", 2),
    ("quantised in training", 1),
    ("quantised in training", 2),
    ("samples by langevin steps", 1),
    ("samples by langevin steps", 2),
}
