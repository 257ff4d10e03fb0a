"""Frames: what was appended whole is read again, whatever became of what came after it."""

from __future__ import annotations

from contextlib import closing
from pathlib import Path

import pytest

from asha_core.errors import ResultsError
from asha_core.runtime.storage.frames import FrameWriter, read_frames

CONTENTS = [b"first", b"", b"\n{}\n" * 40, bytes(range(256))]


def written(path: Path) -> list[int]:
    with closing(FrameWriter(path, "things", 0)) as writer:
        for number, content in enumerate(CONTENTS):
            writer.append(content, number=number)
    return [end for *_, end in read_frames(path, "things")]


def read(path: Path) -> list[bytes]:
    return [content for _, content, _ in read_frames(path, "things")]


def test_what_was_appended_is_read(tmp_path: Path) -> None:
    ends = written(tmp_path / "f")
    assert read(tmp_path / "f") == CONTENTS
    assert [told["number"] for told, *_ in read_frames(tmp_path / "f", "things")] == [0, 1, 2, 3]
    assert ends[-1] == (tmp_path / "f").stat().st_size
    assert read(tmp_path / "none") == []


def test_wherever_it_is_torn_the_whole_frames_stand_and_it_goes_on(tmp_path: Path) -> None:
    path = tmp_path / "f"
    ends = written(path)
    whole = path.read_bytes()
    for cut in range(len(whole)):
        path.write_bytes(whole[:cut])
        found = list(read_frames(path, "things"))
        assert [content for _, content, _ in found] == CONTENTS[: sum(end <= cut for end in ends)]
        with closing(FrameWriter(path, "things", found[-1][2] if found else 0)) as writer:
            for number in range(len(found), len(CONTENTS)):
                writer.append(CONTENTS[number], number=number)
        assert path.read_bytes() == whole


def test_a_changed_byte_is_found(tmp_path: Path) -> None:
    path = tmp_path / "f"
    written(path)
    whole = path.read_bytes()
    place = whole.index(bytes(range(256))) + 3
    path.write_bytes(whole[:place] + b"?" + whole[place + 1 :])
    assert read(path) == CONTENTS[:3]


@pytest.mark.parametrize("line", [b'{"format": "others", "schema": 1}\n', b"PK\n", b"[]\n"])
def test_another_file_is_refused(line: bytes, tmp_path: Path) -> None:
    (tmp_path / "f").write_bytes(line)
    with pytest.raises(ResultsError, match="no file of things"):
        read(tmp_path / "f")
    (tmp_path / "f").write_bytes(b'{"format": "things", "schema": 2}\n')
    with pytest.raises(ResultsError, match="has schema 2"):
        read(tmp_path / "f")
