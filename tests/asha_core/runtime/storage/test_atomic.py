"""Files that are written whole or not at all."""

from __future__ import annotations

from pathlib import Path

import pytest

from asha_core.runtime.storage.atomic import whole


def test_an_error_leaves_what_was_there_and_nothing_else(tmp_path: Path) -> None:
    path = tmp_path / "file"
    path.write_text("before")
    with pytest.raises(OSError, match="full"), whole(path, "x") as file:
        file.write("half of it")
        raise OSError("full")
    assert path.read_text() == "before"
    assert list(tmp_path.iterdir()) == [path]


def test_what_a_link_points_to_is_not_written(tmp_path: Path) -> None:
    """A results directory of somebody else may hold links to files that are not theirs."""
    outside = tmp_path / "outside"
    outside.write_text("mine")
    room = tmp_path / "room"
    room.mkdir()
    for name in ("file", "file.tmp"):
        (room / name).symlink_to(outside)
    with whole(room / "file") as file:
        file.write(b"theirs")
    assert outside.read_text() == "mine"
    assert not (room / "file").is_symlink()
    assert (room / "file").read_bytes() == b"theirs"
