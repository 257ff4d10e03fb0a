"""A trainer's own files in a trial's checkpoint."""

from __future__ import annotations

from pathlib import Path

from trials.checkpoints.files import load_checkpoint, save_checkpoint
from trials.integrations.packing import packed, unpacked


def test_a_file_comes_back_as_it_was_and_takes_no_more_room(tmp_path: Path) -> None:
    content = bytes(range(256)) * 4096  # which pickle's old protocol, PyTorch's, would half as much again
    for number, original in enumerate((b"", content)):
        file, kept = tmp_path / "file", tmp_path / f"{number}.pt"
        file.write_bytes(original)
        save_checkpoint(kept, {"file": packed(file)})
        assert kept.stat().st_size < len(original) + 10_000
        unpacked(load_checkpoint(kept)["file"], tmp_path / "new" / "file")
        assert (tmp_path / "new" / "file").read_bytes() == original
