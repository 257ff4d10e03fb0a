"""Texts found in a folder, cut and encoded: nothing lost, and one line for what is wrong."""

from __future__ import annotations

import gzip
import os
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from asha_core.errors import TaskError
from trials.data.text_files import cut, documentation, read_parts
from trials.data.tokens import read_tokens

LINES = "".join(f"{number}: a line of the text, é\n" for number in range(400))


@given(st.lists(st.text(min_size=1, max_size=20), max_size=40).map("\n".join))
def test_nothing_of_a_text_is_lost_and_no_character_is_cut(text: str) -> None:
    parts = cut(text.encode())
    assert "".join(part.decode() for part in parts) == text


def test_a_text_is_cut_at_the_ends_of_lines() -> None:
    for part, share in zip(cut(LINES.encode()), (0.9, 0.05, 0.05), strict=True):
        assert part.endswith(b"\n")
        assert len(part) == pytest.approx(share * len(LINES.encode()), abs=60)


@pytest.mark.parametrize("names", ["wiki.{}.tokens", "wiki.{}.raw", "{}.txt"])
def test_the_usual_files_are_the_parts(tmp_path: Path, names: str) -> None:
    for part in ("train", "valid", "test"):
        (tmp_path / names.format(part)).write_text(f"the {part} text\n")
    (tmp_path / "other.txt").write_text("not this one")
    assert read_parts(tmp_path) == (b"the train text\n", b"the valid text\n", b"the test text\n")


def test_parquet_as_on_the_hub(tmp_path: Path) -> None:
    arrow = pytest.importorskip("pyarrow")
    from pyarrow import parquet

    for name in ("train-00000-of-00002", "train-00001-of-00002", "validation-0", "test-0"):
        parquet.write_table(arrow.table({"text": [name, "", None, "ends\n"]}), tmp_path / f"{name}.parquet")
    training, validation, test = read_parts(tmp_path)
    assert training == b"train-00000-of-00002\n\nends\ntrain-00001-of-00002\n\nends\n"
    assert (validation, test) == (b"validation-0\n\nends\n", b"test-0\n\nends\n")


def test_any_texts_are_joined_by_name(tmp_path: Path) -> None:
    half = len(LINES) // 2
    (tmp_path / "b.txt.gz").write_bytes(gzip.compress(LINES[half:].encode()))
    (tmp_path / "a.txt").write_bytes(b"\xef\xbb\xbf" + LINES[:half].encode())  # with a byte-order mark
    assert read_parts(tmp_path) == cut(LINES.encode())
    assert b"".join(read_parts(tmp_path / "b.txt.gz")) == LINES[half:].encode()


def test_without_a_folder_it_is_pythons_documentation() -> None:
    assert b"".join(read_parts(None)) == documentation()
    assert len(documentation()) > 300_000


def test_what_is_wrong_is_told_in_a_line(tmp_path: Path) -> None:
    def told(place: Path) -> str:
        with pytest.raises(TaskError) as error:
            read_parts(place)
        assert "\n" not in str(error.value)
        return str(error.value)

    assert "there is no" in told(tmp_path / "nowhere")
    assert "has no text" in told(tmp_path)
    (tmp_path / "corpus").mkdir()
    (tmp_path / "corpus" / "wiki.train.tokens").write_text("text")
    assert f"--data-dir {tmp_path / 'corpus'}" in told(tmp_path)
    assert "no wiki.valid.tokens: put the validation text there" in told(tmp_path / "corpus")
    (tmp_path / "broken.txt.gz").write_bytes(gzip.compress(b"text")[:-6])
    assert "broken.txt.gz cannot be read" in told(tmp_path)
    assert "get it again" in told(tmp_path)


def test_parquet_of_something_else(tmp_path: Path) -> None:
    arrow = pytest.importorskip("pyarrow")
    from pyarrow import parquet

    parquet.write_table(arrow.table({"words": ["a"]}), tmp_path / "train.parquet")
    for part in ("valid", "test"):
        (tmp_path / f"{part}.parquet").write_bytes(b"no parquet")
    with pytest.raises(TaskError, match="has no column text; it has: words"):
        read_parts(tmp_path)
    parquet.write_table(arrow.table({"text": ["a"]}), tmp_path / "train.parquet")
    with pytest.raises(TaskError, match=r"valid.parquet cannot be read: .+"):
        read_parts(tmp_path)


def test_bytes_are_the_text(tmp_path: Path) -> None:
    (tmp_path / "any.txt").write_bytes(bytes(range(256)) * 20)  # no UTF-8
    tokens = read_tokens(tmp_path, "bytes", 300)
    assert np.concatenate(list(tokens.values())).tobytes() == bytes(range(256)) * 20
    assert {each.dtype for each in tokens.values()} == {np.dtype(np.uint8)}


def test_byte_pairs_are_learned_once_and_give_the_text_back(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    library = pytest.importorskip("tokenizers")
    text = tmp_path / "text.txt"
    text.write_text(LINES)
    tokens = read_tokens(tmp_path, "bpe", 300)
    (rules,) = tmp_path.glob("bpe-300-*.json")
    decode = library.Tokenizer.from_file(str(rules)).decode
    assert "".join(decode(tokens[part]) for part in tokens) == LINES
    assert all(each.dtype == np.int16 and each.max() < 300 for each in tokens.values())
    assert sum(map(len, tokens.values())) < len(LINES) / 2

    kept = (tmp_path / f"{rules.stem}.npz").stat().st_mtime_ns
    again = read_tokens(tmp_path, "bpe", 300)
    assert all(np.array_equal(again[part], tokens[part]) for part in tokens)
    assert (tmp_path / f"{rules.stem}.npz").stat().st_mtime_ns == kept

    text.write_text(LINES + "one more line\n")  # another text: other files
    read_tokens(tmp_path, "bpe", 300)
    read_tokens(tmp_path, "bpe", 310)
    assert len(list(tmp_path.glob("bpe-*.npz"))) == 3


def test_learned_from_training_text_alone(tmp_path: Path) -> None:
    library = pytest.importorskip("tokenizers")
    for part, text in (("train", "aab " * 200), ("valid", "xyz " * 200), ("test", "xyz " * 200)):
        (tmp_path / f"{part}.txt").write_text(text)
    read_tokens(tmp_path, "bpe", 300)
    (rules,) = tmp_path.glob("*.json")
    known = library.Tokenizer.from_file(str(rules)).get_vocab()
    assert "aab" in known
    assert not any("xy" in each for each in known)


def test_a_damaged_cache_is_made_again(tmp_path: Path) -> None:
    pytest.importorskip("tokenizers")
    (tmp_path / "text.txt").write_text(LINES)
    tokens = read_tokens(tmp_path, "bpe", 300)
    (kept,) = tmp_path.glob("*.npz")
    kept.write_bytes(kept.read_bytes()[:100])
    again = read_tokens(tmp_path, "bpe", 300)
    assert all(np.array_equal(again[part], tokens[part]) for part in tokens)


def test_a_folder_that_cannot_be_written_to(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    pytest.importorskip("tokenizers")
    (tmp_path / "text.txt").write_text(LINES)
    cache = tmp_path / "cache"
    monkeypatch.setenv("XDG_CACHE_HOME", str(cache))
    monkeypatch.setattr("trials.data.tokens.whole", _refusing(tmp_path / "bpe"))
    tokens = read_tokens(tmp_path, "bpe", 300)
    assert len(list((cache / "asha-core" / "tokens").glob("bpe-300-*"))) == 2
    assert capsys.readouterr().err == ""
    monkeypatch.setattr("trials.data.tokens.whole", _refusing(tmp_path))
    again = read_tokens(tmp_path, "bpe", 310)
    assert "cannot be written to" in capsys.readouterr().err
    assert set(again) == set(tokens)


def _refusing(beginning: Path):  # type: ignore[no-untyped-def]
    from asha_core.runtime.storage.atomic import whole

    def instead(path: Path):  # type: ignore[no-untyped-def]
        if str(path).startswith(str(beginning)):
            raise PermissionError(13, os.strerror(13))
        return whole(path)

    return instead


def test_byte_pairs_need_utf8(tmp_path: Path) -> None:
    pytest.importorskip("tokenizers")
    (tmp_path / "latin.txt").write_bytes(LINES.encode("latin-1"))
    with pytest.raises(TaskError, match=r"the training text is no UTF-8 \(byte 24\)"):
        read_tokens(tmp_path, "bpe", 300)


def test_a_missing_extra_is_named(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("importlib.util.find_spec", lambda name: None)
    with pytest.raises(TaskError, match=r"pip install 'asha-core\[language\]'"):
        read_tokens(tmp_path, "bpe", 300)
    (tmp_path / "train.parquet").touch()
    (tmp_path / "valid.parquet").touch()
    (tmp_path / "test.parquet").touch()
    with pytest.raises(TaskError, match=r"pip install 'asha-core\[language\]'"):
        read_tokens(tmp_path, "bytes", 300)
