"""A data set read by processes of its own, forked for one pass over it and gone after it."""

from __future__ import annotations

import pickle
import warnings
from collections.abc import Generator, Iterator
from contextlib import nullcontext
from typing import Any

import torch
from torch.utils.data import DataLoader, Dataset

from asha_core.errors import AshaError, TaskError
from trials.data.sample_reader import SampleReader

_IN_A_PROCESS = "in DataLoader worker process"  # what torch says of an error that a data set raised


def read_by_processes(
    reader: SampleReader, rows: list[list[int]], processes: int, device: torch.device
) -> Generator[Any, None, None]:
    """What ``reader`` makes of each of ``rows``, in order, by processes that begin now.

    On every way out of it they end. Close it where it is not read to its end.
    """
    return _until_the_end(_begun(reader, rows, processes, device))


def _begun(
    reader: SampleReader, rows: list[list[int]], processes: int, device: torch.device
) -> Iterator[Any]:
    cuda = device.type == "cuda"
    with warnings.catch_warnings(), torch.cuda.device(device) if cuda else nullcontext():
        # Python 3.12 warns of forks beside threads. A loader's process takes no lock of ours, and torch
        # has it compute in one thread; to import torch anew in each would cost seconds an epoch
        warnings.filterwarnings("ignore", ".*fork.*", DeprecationWarning)
        loader = DataLoader(
            _ForProcesses(reader),
            batch_size=None,  # the rows are those of a batch already
            sampler=rows,
            num_workers=min(processes, len(rows)),
            collate_fn=_as_it_is,
            pin_memory=cuda,
            multiprocessing_context="fork",
            generator=torch.Generator(),  # its own: by default a loader draws from the global one
        )
        return iter(loader)


def _until_the_end(found: Iterator[Any]) -> Generator[Any, None, None]:
    """What torch's iterator over processes gives; on every way out of it, they end.

    By itself it ends them when it is forgotten. But an error is raised by a frame of torch's that holds the
    error, so that the error holds the frame, and with it the iterator: it would be there, with its processes
    and the batches which they have read ahead, until the next garbage collection, in the middle of whatever.
    """
    try:
        for batch in found:
            if isinstance(batch, _PickledError):
                raise batch.error()
            yield batch
    except Exception as error:
        if isinstance(error, EOFError | ConnectionError) and _IN_A_PROCESS not in str(error):
            # it died while it handed a batch over, and torch met the end of its pipe
            raise RuntimeError("a process that read the data exited unexpectedly") from None
        raise error.with_traceback(None)  # noqa: B904 - it is the same; the frames were torch's alone
    finally:
        end = getattr(found, "_shutdown_workers", None)  # which torch calls in its __del__
        if callable(end):
            end()


class _ForProcesses(Dataset[Any]):
    """A reader whose mistakes come back as they are: torch would put a traceback into their text."""

    def __init__(self, reader: SampleReader) -> None:
        self._reader = reader

    def __getitem__(self, rows: list[int]) -> Any:
        try:
            return self._reader[rows]
        except AshaError as error:
            return _PickledError(error)


class _PickledError:
    """An ``AshaError`` on its way from a loader's process: as it was, or a ``TaskError`` of its text."""

    def __init__(self, error: AshaError) -> None:
        self._text = str(error)
        self._pickled = b""
        try:
            pickled = pickle.dumps(error)
            if type(pickle.loads(pickled)) is type(error):
                self._pickled = pickled
        except Exception:  # whatever its class does when it is made again
            pass

    def error(self) -> AshaError:
        """To be raised; a new one each time, so that nothing holds what its traceback holds."""
        if not self._pickled:
            return TaskError(self._text)
        error: AshaError = pickle.loads(self._pickled)
        return error


def _as_it_is(batch: Any) -> Any:
    return batch
