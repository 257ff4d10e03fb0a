"""What is done to a fresh configuration: one strategy a file, by the names in ``warmstart.registry``.

Shared by several: ``gradient_strategy`` (what measures hyper-gradients: hypergradient, trust), ``control``
(what changes another strategy's step: flipped, random_matched), ``explosion`` (what acts on configurations
that explode: screen, brake), and ``chain`` (several strategies joined by "+").
"""
