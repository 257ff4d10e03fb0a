"""Checkpoints: written whole or not at all, checked whole when read, and unable to run code.

A file holds {"format": 1, "resource": units completed, "configuration": {...}, "task": {...},
"state": what the task saved}; one of a unit that was begun and not completed also says which, as "unit".

``torch.save`` writes a zip archive with a CRC-32 of each record, and ``torch.load`` does not look at them: a
bit that flipped on a disk comes back as another weight. So they are checked here before anything is loaded.
"""

from __future__ import annotations

import contextlib
import zipfile
from collections import OrderedDict
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import IO, Any

from asha_core.errors import ReportError, ResultsError
from asha_core.runtime.storage.atomic import whole

FORMAT = 1
_MOST_BITS = 2039  # of an integer that weights_only loading reads


def check_state(state: Any, where: str = "state") -> None:
    """Raise ``ReportError`` if ``state`` holds what ``weights_only`` loading would refuse; says where."""
    try:
        _check(state, where)
    except RecursionError:
        raise ReportError(
            f"{where} is nested too deeply, or holds itself: save flat lists and dicts"
        ) from None


def _check(state: Any, where: str) -> None:
    import torch

    # exact types: a subclass, such as numpy.float64, a named tuple or an enum, is not loaded back
    kind = type(state)
    if kind is bytes and not state:
        raise ReportError(f"{where} is b'', which torch saves and does not load: leave it out")
    if kind is int and state.bit_length() > _MOST_BITS:
        raise ReportError(f"{where} is an integer of {state.bit_length():,} bits: save it as text")
    if state is None or kind in (bool, int, float, str, bytes, torch.Size):
        return
    if kind in (OrderedDict, torch.Tensor, torch.nn.Parameter):
        for name, value in vars(state).items():  # such as a module's _metadata
            _check(value, f"{where}.{name}")
    if kind in (torch.Tensor, torch.nn.Parameter):
        return
    if kind in (dict, OrderedDict):
        for key, value in state.items():
            _check(key, f"a key of {where}")
            _check(value, f"{where}[{key!r}]")
    elif kind in (list, tuple, set):
        for index, value in enumerate(state):
            _check(value, f"{where}[{index}]")
    else:
        raise ReportError(
            f"{where} is a {kind.__name__}: a checkpoint holds tensors, plain numbers, strings, lists and "
            "dicts; save float(x) for a numpy number, torch.from_numpy(array) for an array, a module's "
            "state_dict()"
        )


def save_checkpoint(path: Path, content: Mapping[str, Any]) -> None:
    """Write ``content`` to ``path``, whole or not at all."""
    with whole(path) as file:
        write_content(file, content)


def write_content(file: IO[bytes], content: Mapping[str, Any]) -> None:
    """What ``save_checkpoint`` writes, into any file."""
    import torch

    try:
        with _checksums():
            torch.save({"format": FORMAT, **content}, file)
    except RuntimeError as error:
        if isinstance(error.__context__, OSError):  # how torch tells that the disk is full
            raise error.__context__ from None
        raise


@contextlib.contextmanager
def _checksums() -> Iterator[None]:
    """Records get their CRC-32, whatever the user set for the files of their own."""
    import torch.serialization as library

    if not hasattr(library, "set_crc32_options"):  # before PyTorch 2.6 they always do
        yield
        return
    before = library.get_crc32_options()
    library.set_crc32_options(True)
    try:
        yield
    finally:
        library.set_crc32_options(before)


def load_checkpoint(path: Path) -> dict[str, Any]:
    """Read a checkpoint onto the CPU. Nothing in the file is executed.

    Raises:
        ResultsError: there is none, it is damaged, or it is of another format.
    """
    import torch

    try:
        with open(path, "rb") as file:
            _check_archive(file)
            file.seek(0)
            content = torch.load(file, map_location="cpu", weights_only=True)
    except FileNotFoundError:
        raise ResultsError(f"there is no checkpoint {path}") from None
    except MemoryError:  # no fault of the file
        raise
    except Exception as error:  # zipfile and torch raise a dozen types for a damaged file
        # not its text, which advises to load with weights_only=False
        raise ResultsError(f"checkpoint {path} is damaged ({type(error).__name__})") from None
    if not isinstance(content, dict) or content.get("format") != FORMAT:
        raise ResultsError(f"{path} is not a checkpoint of format {FORMAT}")
    return content


def _check_archive(file: IO[bytes]) -> None:
    """Raise ``BadZipFile`` or whatever else ``zipfile`` raises if the archive is not as it was written.

    The list of records at its end has no checksum of its own. Of what is in it, torch is misled by the
    attributes: a record that is marked as a directory comes back as whatever was in memory.
    """
    with zipfile.ZipFile(file) as archive:
        for record in archive.infolist():
            plain = record.compress_type == zipfile.ZIP_STORED and record.file_size == record.compress_size
            if not plain or record.external_attr or record.is_dir():
                raise zipfile.BadZipFile(f"{record.filename} is no plain file")
        damaged = archive.testzip()
    if damaged is not None:
        raise zipfile.BadZipFile(damaged)
