"""The perplexity of a byte by a bigram model, which a language model must beat.

    python -m benchmarks.bigram TEXT

The text is cut as ``--task language`` cuts it (90, 5 and 5 per cent, at the ends of lines), and counted here
with nothing of the package. Two estimates of p(byte | byte before):

add-one: (count of the pair + 1) / (count of the byte before + 256).
Witten-Bell: interpolated with the share of the byte, by how many kinds of bytes followed the one before;
    the share of the byte is add-one itself. Source: Witten and Bell 1991, "The zero-frequency problem".
"""

from __future__ import annotations

import math
import sys
from collections import Counter
from itertools import pairwise
from pathlib import Path

KINDS = 256


def cut(text: bytes) -> tuple[bytes, bytes, bytes]:
    """Training, validation and test text."""
    first, second = (text.index(b"\n", len(text) * share // 100) + 1 for share in (90, 95))
    return text[:first], text[first:second], text[second:]


def perplexities(training: bytes, held: bytes) -> dict[str, float]:
    """By the name of the estimate, of each byte but the first."""
    pairs, single, before = Counter(pairwise(training)), Counter(training), Counter(training[:-1])
    followers = Counter(first for first, _ in pairs)
    total = {"add-one": 0.0, "Witten-Bell": 0.0}
    for (first, second), times in Counter(pairwise(held)).items():
        count, seen, kinds = pairs[first, second], before[first], followers[first]
        alone = (single[second] + 1) / (len(training) + KINDS)
        mixed = (count + kinds * alone) / (seen + kinds) if seen else alone
        total["add-one"] -= times * math.log((count + 1) / (seen + KINDS))
        total["Witten-Bell"] -= times * math.log(mixed)
    return {name: math.exp(nats / (len(held) - 1)) for name, nats in total.items()}


def main() -> None:
    """A line for each part and estimate."""
    training, validation, test = cut(Path(sys.argv[1]).read_bytes())
    print(
        f"{len(training):,} bytes of training, {len(validation):,} of validation, {len(test):,} of test text"
    )
    for name, held in (("validation", validation), ("test", test)):
        for estimate, value in perplexities(training, held).items():
            print(f"{name}: {estimate} {value:.3f} a byte, {math.log2(value):.3f} bits")


if __name__ == "__main__":
    main()
