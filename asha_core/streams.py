"""Named streams of random numbers: the only randomness in the core.

A stream is identified by the run's seed and a name such as ``("configuration", 17)``. It is a hash,
not a generator with a state, so configuration i depends on (seed, i) alone, whatever was drawn
before it, in whatever order the workers answered, on any platform and Python version.

BLAKE2b is used as a counter-mode generator: 64 bytes of digest give eight 53-bit uniform numbers.
"""

from __future__ import annotations

import struct
from hashlib import blake2b

_EIGHT_WORDS = struct.Struct("<8Q").unpack
_TO_UNIT = 2.0**-53


def uniforms(seed: int, name: str, index: int, count: int) -> list[float]:
    """Uniform numbers in [0, 1) from the stream (seed, name, index).

    Args:
        seed: the run's seed.
        name: what the numbers are for.
        index: which member of the stream, such as a trial's number.
        count: how many numbers; the first ones do not depend on how many are asked for.
    Returns:
        ``count`` floats with 53 random bits each.
    """
    numbers: list[float] = []
    for block in range(-(-count // 8)):
        digest = blake2b(f"{seed}/{name}/{index}/{block}".encode()).digest()
        words = _EIGHT_WORDS(digest)[: count - 8 * block]
        numbers += [(word >> 11) * _TO_UNIT for word in words]
    return numbers


def stream_seed(seed: int, name: str, index: int = 0) -> int:
    """A 63-bit seed for a generator that owns the stream (seed, name, index).

    Use it for generators that the core does not own: ``torch.Generator().manual_seed(...)``,
    ``numpy.random.default_rng(...)``.
    """
    digest = blake2b(f"{seed}/{name}/{index}".encode(), digest_size=8).digest()
    return int.from_bytes(digest, "little") >> 1
