"""What an exception that left a task means for the search: the event that closes the job."""

from __future__ import annotations

import errno
from collections.abc import Iterator

from asha_core.errors import AshaError, ConfigurationError
from asha_core.messages import Failed, Job, Lost
from asha_core.runtime.storage.journal import is_full
from trials.trial import JobStopped

_MEMORY = (
    "out of memory",
    "can't allocate memory",
    "CUBLAS_STATUS_ALLOC_FAILED",
    "CUDNN_STATUS_ALLOC_FAILED",
    "is killed by signal: Killed",  # a data loader's process, which holds a copy of everything
)
_LONGEST = 4000  # characters of an error's text: the trial's log has all of it


def closing_event(job: Job, error: BaseException) -> Failed | Lost:
    """The event that closes a job which ended with ``error``."""
    for cause in _chain(error):
        if isinstance(cause, OSError) and is_full(cause):
            return Lost(job.trial, job.attempt, f"disk full: {text_of(cause)}", "disk")
    if any(map(_out_of_memory, _chain(error, explicit=True))):
        kind = "oom"
    elif isinstance(error, ConfigurationError):
        kind = "invalid"
    else:
        kind = "setup" if isinstance(error, AshaError) else "error"
    return Failed(job.trial, job.attempt, text_of(error), kind)


def stopped(job: Job, error: BaseException) -> Lost:
    """The event that closes a job which was asked to stop.

    However it ended: a library may answer SIGTERM with an exception of its own, a process that reads data for
    it may have had the signal, too, and a function may just return. The trial is not to blame, and goes
    again.
    """
    how = "" if isinstance(error, JobStopped) else f" ({text_of(error)})"
    return Lost(job.trial, job.attempt, f"the search was stopped{how}", "stopped")


def text_of(error: BaseException) -> str:
    """An exception in one piece of text that pickles, and that any file can hold, whatever it is."""
    try:
        text = str(error)
    except Exception as worse:
        text = f"(its text cannot be had: {type(worse).__name__})"
    if not isinstance(error, AshaError):
        text = f"{type(error).__name__}: {text}"
    if len(text) > _LONGEST:
        text = f"{text[:_LONGEST]}... ({len(text)} characters)"
    return text.encode("utf-8", "backslashreplace").decode("utf-8")  # file names may hold lone surrogates


def _chain(error: BaseException, explicit: bool = False) -> Iterator[BaseException]:
    """An exception and those that led to it; ``explicit``: only those named with ``from``."""
    seen: set[int] = set()
    each: BaseException | None = error
    while each is not None and id(each) not in seen:
        seen.add(id(each))
        yield each
        implicit = None if explicit or each.__suppress_context__ else each.__context__
        each = each.__cause__ or implicit


def _out_of_memory(error: BaseException) -> bool:
    if isinstance(error, MemoryError) or getattr(error, "errno", None) == errno.ENOMEM:
        return True
    if any(kind.__name__ == "OutOfMemoryError" for kind in type(error).__mro__):  # torch's, without torch
        return True
    return isinstance(error, RuntimeError) and any(
        words.lower() in text_of(error).lower() for words in _MEMORY
    )
