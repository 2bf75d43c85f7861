"""Schedules beside the tasks that they run."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import datetime, timedelta
from typing import TYPE_CHECKING, Any, TypedDict, Union

from ._options import job_options
from ._spans import Span, instant, milliseconds
from .errors import InvalidOptionError

if TYPE_CHECKING:
    from .task import Task

__all__ = ["ScheduleOptions"]


class ScheduleOptions(TypedDict, total=False):
    """When a schedule enqueues a job. One of ``cron`` and ``every``.

    Keys:
        cron: A cron expression of five fields, or six with seconds first.
        every: ``"five minutes"``, ``"day"``, ``"monday"``; or a timedelta or seconds.
        at, on, hour, minute, day_of_month: Beside ``every``: ``at="17:30"``.
        tz: The time zone of ``cron`` and ``every``: ``"Europe/Rome"``. Default: UTC.
        name: The schedule's name. Default: the task's.
        payload: The handler's arguments, a dict. Default: none.
        start, end: It is in force between these.
        jitter: Each job is delayed by chance, at most so long.
        missed: What to do about slots that passed unseen: ``skip``, ``latest``, ``all`` or a
            dict of ``policy``, ``within_ms``, ``limit``.
        overlap: What to do while the last job has not ended: ``skip``, ``queue``, ``allow``.
        on_lost: ``retry`` or ``hold``.
        options: Options of its jobs; see JobOptions.
    """

    cron: str
    every: Span
    at: str
    on: str
    hour: int
    minute: int
    day_of_month: int
    tz: str
    name: str
    payload: Mapping[str, Any]
    start: Union[datetime, str]
    end: Union[datetime, str]
    jitter: Span
    missed: Union[str, Mapping[str, Any]]
    overlap: str
    on_lost: str
    options: Mapping[str, Any]


def shown_schedule(task: Task[..., Any], options: Mapping[str, Any]) -> dict[str, object]:
    """A schedule of a task, as the native half reads it."""
    import json

    given = dict(options)
    unknown = set(given) - set(ScheduleOptions.__annotations__)
    if unknown:
        raise InvalidOptionError(f"there is no option {sorted(unknown)[0]!r} of a schedule")
    shown: dict[str, object] = {"name": given.pop("name", task.name), "task": task.name}
    payload = task._signature.encode((), dict(given.pop("payload", {})))
    shown["payload"] = json.loads(payload)
    jobs = {**task._defaults, **job_options(given.pop("options", {}))}
    if jobs:
        shown["options"] = jobs
    every = given.pop("every", None)
    if isinstance(every, str):
        shown["every"] = every
    elif isinstance(every, (int, float, timedelta)):
        shown["every_ms"] = milliseconds("every", every)
    for key in ("start", "end"):
        if given.get(key) is not None:
            given[key] = instant(key, given[key])
    if "jitter" in given:
        shown["jitter_ms"] = milliseconds("jitter", given.pop("jitter"))
    if "tz" in given:
        shown["time_zone"] = given.pop("tz")
    shown.update(given)
    return shown
