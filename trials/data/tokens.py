"""Text as numbers: its bytes, or byte pairs that are learned from the training text and kept beside it.

Byte-pair encoding: Sennrich et al. 2016, arXiv:1508.07909; on bytes, as in GPT-2. What was encoded is kept in
files whose names have a hash of the text and the settings, so that it is done once, and never taken for
another's.
"""

from __future__ import annotations

import hashlib
import os
import sys
import zipfile
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from asha_core.errors import TaskError
from asha_core.extras import needed
from asha_core.runtime.storage.atomic import whole
from trials.data.text_files import PARTS, Parts, read_parts

TOKENIZERS = ("bytes", "bpe")
BYTES = 256
Tokens = dict[str, NDArray[Any]]
_FORMAT = 1  # of what is kept
_PIECE = 100_000  # characters that are encoded at once, about


def read_tokens(place: Path | None, tokenizer: str, vocabulary: int) -> Tokens:
    """The tokens of each part of the text, by name: (N,) uint8 bytes, or int16 or int32 byte pairs.

    Args:
        place: as for ``read_parts``.
        tokenizer: one of ``TOKENIZERS``.
        vocabulary: of byte pairs: how many tokens there may be.
    Raises:
        TaskError: of the text; it is no UTF-8, which byte pairs need; or ``tokenizers`` is not installed.
    """
    if tokenizer == "bytes":
        parts = read_parts(place)
        return {
            name: np.frombuffer(bytearray(part), np.uint8) for name, part in zip(PARTS, parts, strict=True)
        }
    needed("language", "tokenizers", what="tokenizer=bpe")
    parts = read_parts(place)
    name = f"bpe-{vocabulary}-{_hash(parts, vocabulary)}"
    folders = _folders(place)
    for folder in folders:
        if (kept := _kept(folder / f"{name}.npz")) is not None:
            return kept
    rules, tokens = _encoded(parts, vocabulary)
    for folder in folders:
        if _keep(folder, name, rules, tokens):
            return tokens
    print(
        f"language: {' and '.join(map(str, folders))} cannot be written to: each worker encodes it anew",
        file=sys.stderr,
    )
    return tokens


def _folders(place: Path | None) -> list[Path]:
    """Where encoded text may lie: beside the text, or in the user's cache."""
    cache = os.environ.get("XDG_CACHE_HOME", "")
    base = Path(cache) if Path(cache).is_absolute() else Path("~/.cache").expanduser()
    beside = [] if place is None else [place.parent if place.is_file() else place]
    return [*beside, base / "asha-core" / "tokens"]


def _hash(parts: Parts, vocabulary: int) -> str:
    """Of the text, and of all that decides how it is encoded."""
    found = hashlib.blake2b(f"{_FORMAT} {vocabulary}".encode(), digest_size=8)
    for part in parts:
        found.update(hashlib.blake2b(part).digest())
    return found.hexdigest()


def _kept(path: Path) -> Tokens | None:
    """What an earlier call has kept; None: nothing, or it is damaged."""
    try:
        with path.open("rb") as stream, np.load(stream) as file:
            return {name: file[name] for name in PARTS}
    except (OSError, ValueError, KeyError, EOFError, zipfile.BadZipFile):
        return None


def _keep(folder: Path, name: str, rules: str, tokens: Tokens) -> bool:
    """Whether it could be kept."""
    named: dict[str, Any] = {**tokens}
    try:
        folder.mkdir(parents=True, exist_ok=True)
        with whole(folder / f"{name}.json") as file:
            file.write(rules.encode())
        with whole(folder / f"{name}.npz") as file:
            np.savez(file, **named)
    except OSError:
        return False
    return True


def _encoded(parts: Parts, vocabulary: int) -> tuple[str, Tokens]:
    """(the encoding, as ``tokenizers`` reads it; the tokens): learned from the training text alone."""
    from tokenizers import Tokenizer, decoders, models, pre_tokenizers, trainers

    texts = [_text(part, name) for part, name in zip(parts, PARTS, strict=True)]
    encoder = Tokenizer(models.BPE())
    encoder.pre_tokenizer = pre_tokenizers.ByteLevel(add_prefix_space=False)
    encoder.decoder = decoders.ByteLevel()
    trainer = trainers.BpeTrainer(
        vocab_size=vocabulary,
        show_progress=False,
        initial_alphabet=pre_tokenizers.ByteLevel.alphabet(),
    )
    encoder.train_from_iterator(_pieces(texts[0]), trainer)
    kind = np.int16 if vocabulary <= np.iinfo(np.int16).max + 1 else np.int32
    tokens: Tokens = {}
    for name, text in zip(PARTS, texts, strict=True):
        pieces = [np.array(encoder.encode(piece).ids, kind) for piece in _pieces(text)]
        tokens[name] = np.concatenate(pieces) if pieces else np.zeros(0, kind)
    return encoder.to_str(), tokens


def _text(part: bytes, name: str) -> str:
    try:
        return part.decode()
    except UnicodeDecodeError as error:
        raise TaskError(
            f"language: the {name} text is no UTF-8 (byte {error.start + 1:,}): convert it, or take "
            "tokenizer=bytes, which takes any"
        ) from None


def _pieces(text: str) -> Iterator[str]:
    """Whole lines, as many as make a piece."""
    start = 0
    while start < len(text):
        end = text.find("\n", start + _PIECE) + 1 or len(text)
        yield text[start:end]
        start = end
