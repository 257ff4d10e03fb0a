"""What an event must say to be counted: each check raises ``ReportError`` in one line."""

from __future__ import annotations

from asha_core.errors import ReportError
from asha_core.messages import Event, Finished, Report


def check_trial(event: Event, begun: int) -> None:
    """The event is of one of the trials that have ``begun``, which count from 0."""
    if not 0 <= event.trial < begun:
        known = f"only trials 0 to {begun - 1} were" if begun else "no trial was"
        raise ReportError(f"{type(event).__name__} for trial {event.trial}: {known} asked for; ask() first")


def check_report(report: Report, until: int) -> None:
    """It is of a unit of the job, which ends at ``until``."""
    resource = report.resource
    if not isinstance(resource, int) or resource < 1:
        raise ReportError(
            f"trial {report.trial} reported resource {resource!r}: it must be an integer, units count from 1"
        )
    if resource > until:
        raise ReportError(
            f"trial {report.trial} reported resource {resource}, but its job ends at {until}: "
            "stop at `job.until`, or report every unit"
        )


def check_finished(event: Finished, reached: int, until: int) -> None:
    """It is within the job, and of a trial that has a value: some unit is ``reached``, or comes with it."""
    resource = event.resource
    if not isinstance(resource, int) or not 1 <= resource <= until:
        raise ReportError(
            f"trial {event.trial} finished at resource {resource!r}: it must be an integer from 1 to "
            f"{until}, where its job ends"
        )
    if reached == 0 and resource < until:
        raise ReportError(f"trial {event.trial} finished before its first report: there is no value to keep")


def value_of(report: Report) -> float:
    """The report's value as a float."""
    if type(report.value) is float:
        return report.value
    try:
        if isinstance(report.value, str | bytes):
            raise TypeError
        return float(report.value)
    except (TypeError, ValueError, OverflowError):
        raise ReportError(
            f"trial {report.trial} reported {report.value!r} at resource {report.resource}: report a number"
        ) from None
