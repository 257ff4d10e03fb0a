"""Random numbers of one thread's own, where other threads may draw from the process's generators meanwhile.

Generators of the process that are seeded and put back would hand other threads the same numbers twice. So
they are left alone, and what is called in this thread is given others:

- operators of PyTorch, by a dispatch mode, which is the thread's (autograd takes it along to the threads that
  it runs a backward pass in);
- the functions of ``random``, ``numpy.random`` and those that seed or keep PyTorch's generators, by functions
  in their place that ask whose thread they are called in. Those of other threads go on as before.

On a CPU the numbers are those of the process's generators with the same seed, to the last bit.
"""

from __future__ import annotations

from warmstart.private_randomness.operators import PrivateRandomness, private_randomness
from warmstart.private_randomness.threads import alone

__all__ = ["PrivateRandomness", "alone", "private_randomness"]
