"""Jobs by filter, queues, schedules and retention: thin wrappers, async and sync."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import datetime
from typing import TYPE_CHECKING, Any, Optional, TypedDict, Union

from ._spans import Span, instant, milliseconds
from .errors import InvalidOptionError
from .handle import JobHandle, edit_of
from .schedule import ScheduleOptions, shown_schedule

if TYPE_CHECKING:
    from typing_extensions import Unpack

    from .app import Lavoro
    from .task import Task

Rows = list[dict[str, Any]]
Strings = list[str]

__all__ = ["JobFilter", "Jobs", "Locks", "Queues", "Retention", "Schedules"]


class JobFilter(TypedDict, total=False):
    """Which jobs. All of these must be true; none: all jobs.

    Keys:
        state: ``scheduled``, ``available``, ``running``, ``retrying``, ``completed``,
            ``cancelled`` or ``discarded``.
        task, queue, tag: By name.
        created_after, created_before: Datetimes with a time zone.
        error_contains: What an error of theirs contains.
        before: Only jobs with a smaller number: the next page.
        limit: At most so many.
    """

    state: str
    task: str
    queue: str
    tag: str
    created_after: Union[datetime, str]
    created_before: Union[datetime, str]
    error_contains: str
    before: int
    limit: int


def _filter(given: Mapping[str, Any]) -> dict[str, object]:
    shown = {key: value for key, value in given.items() if value is not None}
    for key in ("created_after", "created_before"):
        if key in shown:
            shown[key] = instant(key, shown[key])
    return {"filter": shown}


def _jobs(answer: Any) -> list[dict[str, Any]]:
    return [{**job, "id": int(job["id"])} for job in answer]


class Jobs:
    """Jobs by filter; see JobFilter. Changes answer ``matched``, ``changed`` and ``skipped``."""

    def __init__(self, app: Lavoro) -> None:
        self._app = app

    async def list(self, **filter: Unpack[JobFilter]) -> Rows:
        """The jobs, newest first."""
        return _jobs(await self._app._call("jobs.list", _filter(filter)))

    def list_sync(self, **filter: Unpack[JobFilter]) -> Rows:
        """As list()."""
        return _jobs(self._app._call_sync("jobs.list", _filter(filter)))

    async def page(self, **filter: Unpack[JobFilter]) -> dict[str, Any]:
        """``jobs``, and ``next``: what ``before`` of the next page is, None after the last."""
        return _page(await self._app._call("jobs.page", _filter(filter)))

    def page_sync(self, **filter: Unpack[JobFilter]) -> dict[str, Any]:
        """As page()."""
        return _page(self._app._call_sync("jobs.page", _filter(filter)))

    async def count(self, **filter: Unpack[JobFilter]) -> int:
        """How many there are."""
        return int(await self._app._call("jobs.count", _filter(filter)))

    def count_sync(self, **filter: Unpack[JobFilter]) -> int:
        """As count()."""
        return int(self._app._call_sync("jobs.count", _filter(filter)))

    async def cancel(self, **filter: Unpack[JobFilter]) -> dict[str, int]:
        """Cancels them; those that run are told to stop."""
        return dict(await self._app._call("jobs.cancel", _filter(filter)))

    def cancel_sync(self, **filter: Unpack[JobFilter]) -> dict[str, int]:
        """As cancel()."""
        return dict(self._app._call_sync("jobs.cancel", _filter(filter)))

    async def retry(self, **filter: Unpack[JobFilter]) -> dict[str, int]:
        """Makes them available now."""
        return dict(await self._app._call("jobs.retry", _filter(filter)))

    def retry_sync(self, **filter: Unpack[JobFilter]) -> dict[str, int]:
        """As retry()."""
        return dict(self._app._call_sync("jobs.retry", _filter(filter)))

    async def delete(self, **filter: Unpack[JobFilter]) -> dict[str, int]:
        """Deletes them, but for those that run."""
        return dict(await self._app._call("jobs.delete", _filter(filter)))

    def delete_sync(self, **filter: Unpack[JobFilter]) -> dict[str, int]:
        """As delete()."""
        return dict(self._app._call_sync("jobs.delete", _filter(filter)))

    async def edit(
        self, changes: Mapping[str, Any], **filter: Unpack[JobFilter]
    ) -> dict[str, int]:
        """Changes those that wait: ``payload``, ``queue``, ``priority``, ``delay``, ``run_at``."""
        wish = {**_filter(filter), "edit": edit_of(dict(changes))}
        return dict(await self._app._call("jobs.edit", wish))

    def edit_sync(self, changes: Mapping[str, Any], **filter: Unpack[JobFilter]) -> dict[str, int]:
        """As edit()."""
        wish = {**_filter(filter), "edit": edit_of(dict(changes))}
        return dict(self._app._call_sync("jobs.edit", wish))


def _page(answer: Any) -> dict[str, Any]:
    following = answer["next"]
    return {
        "jobs": _jobs(answer["jobs"]),
        "next": None if following is None else int(following),
    }


class Queues:
    """Queues."""

    def __init__(self, app: Lavoro) -> None:
        self._app = app

    async def list(self) -> Rows:
        """The queues, with how many jobs wait and run in each."""
        return _rows(await self._app._call("queues.list", {}))

    def list_sync(self) -> Rows:
        """As list()."""
        return _rows(self._app._call_sync("queues.list", {}))

    async def pause(self, queue: str) -> None:
        """Lets no worker claim from it, until it is resumed. What runs goes on."""
        await self._app._call("queues.pause", {"queue": queue})

    def pause_sync(self, queue: str) -> None:
        """As pause()."""
        self._app._call_sync("queues.pause", {"queue": queue})

    async def resume(self, queue: str) -> None:
        """Ends a pause."""
        await self._app._call("queues.resume", {"queue": queue})

    def resume_sync(self, queue: str) -> None:
        """As resume()."""
        self._app._call_sync("queues.resume", {"queue": queue})

    async def rename(self, from_: str, to: str) -> dict[str, Any]:
        """Moves what waits to another queue."""
        return dict(await self._app._call("queues.rename", {"from": from_, "to": to}))

    def rename_sync(self, from_: str, to: str) -> dict[str, Any]:
        """As rename()."""
        return dict(self._app._call_sync("queues.rename", {"from": from_, "to": to}))

    async def clear(self, queue: str) -> dict[str, Any]:
        """Deletes what waits: ``queue``, ``deleted``, ``left``."""
        return dict(await self._app._call("queues.clear", {"queue": queue}))

    def clear_sync(self, queue: str) -> dict[str, Any]:
        """As clear()."""
        return dict(self._app._call_sync("queues.clear", {"queue": queue}))


class Schedules:
    """Stored schedules; those beside tasks are declared by ``app.schedule``."""

    def __init__(self, app: Lavoro) -> None:
        self._app = app

    async def add(self, task: Task[..., Any], **options: Unpack[ScheduleOptions]) -> None:
        """Stores a schedule.

        Raises:
            ScheduleExistsError: There is one of this name.
            InvalidScheduleError: It cannot be understood.
        """
        await self._app._call("schedules.add", shown_schedule(task, options))

    def add_sync(self, task: Task[..., Any], **options: Unpack[ScheduleOptions]) -> None:
        """As add()."""
        self._app._call_sync("schedules.add", shown_schedule(task, options))

    async def replace(self, task: Task[..., Any], **options: Unpack[ScheduleOptions]) -> bool:
        """Stores a schedule in place of the one of its name; answers whether it is new."""
        answer = await self._app._call("schedules.replace", shown_schedule(task, options))
        return bool(answer["created"])

    def replace_sync(self, task: Task[..., Any], **options: Unpack[ScheduleOptions]) -> bool:
        """As replace()."""
        answer = self._app._call_sync("schedules.replace", shown_schedule(task, options))
        return bool(answer["created"])

    async def preview(
        self, task: Task[..., Any], count: int = 10, **options: Unpack[ScheduleOptions]
    ) -> Strings:
        """The next instants of a schedule that need not be stored."""
        wish = {"schedule": shown_schedule(task, options), "count": count}
        return _strings(await self._app._call("schedules.preview", wish))

    def preview_sync(
        self, task: Task[..., Any], count: int = 10, **options: Unpack[ScheduleOptions]
    ) -> Strings:
        """As preview()."""
        wish = {"schedule": shown_schedule(task, options), "count": count}
        return _strings(self._app._call_sync("schedules.preview", wish))

    async def list(self) -> Rows:
        """The schedules by name."""
        return _rows(await self._app._call("schedules.list", {}))

    def list_sync(self) -> Rows:
        """As list()."""
        return _rows(self._app._call_sync("schedules.list", {}))

    async def show(self, name: str) -> dict[str, Any]:
        """One schedule.

        Raises:
            ScheduleNotFoundError: There is none of this name.
        """
        return dict(await self._app._call("schedules.show", {"name": name}))

    def show_sync(self, name: str) -> dict[str, Any]:
        """As show()."""
        return dict(self._app._call_sync("schedules.show", {"name": name}))

    async def slots(self, name: str, limit: int = 10) -> Rows:
        """What was decided of its slots, newest first."""
        return _rows(await self._app._call("schedules.slots", {"name": name, "limit": limit}))

    def slots_sync(self, name: str, limit: int = 10) -> Rows:
        """As slots()."""
        return _rows(self._app._call_sync("schedules.slots", {"name": name, "limit": limit}))

    async def pause(self, name: str) -> None:
        """Lets it enqueue nothing until it is resumed."""
        await self._app._call("schedules.pause", {"name": name})

    def pause_sync(self, name: str) -> None:
        """As pause()."""
        self._app._call_sync("schedules.pause", {"name": name})

    async def resume(self, name: str) -> None:
        """Ends a pause."""
        await self._app._call("schedules.resume", {"name": name})

    def resume_sync(self, name: str) -> None:
        """As resume()."""
        self._app._call_sync("schedules.resume", {"name": name})

    async def run(self, name: str) -> JobHandle[Any]:
        """Enqueues its job now, beside its slots."""
        return self._handle(await self._app._call("schedules.run", {"name": name}))

    def run_sync(self, name: str) -> JobHandle[Any]:
        """As run()."""
        return self._handle(self._app._call_sync("schedules.run", {"name": name}))

    def _handle(self, answer: Any) -> JobHandle[Any]:
        return JobHandle(self._app, int(answer["id"]), True)

    async def remove(self, name: str) -> bool:
        """Deletes it; answers whether there was one. Its jobs stay."""
        return bool((await self._app._call("schedules.remove", {"name": name}))["removed"])

    def remove_sync(self, name: str) -> bool:
        """As remove()."""
        return bool(self._app._call_sync("schedules.remove", {"name": name})["removed"])


class Retention:
    """How long ended jobs are kept: by task, or for all tasks without a rule of their own."""

    def __init__(self, app: Lavoro) -> None:
        self._app = app

    async def list(self) -> Rows:
        """The rules; ``task`` is None in the one for all others."""
        return _rows(await self._app._call("retention.list", {}))

    def list_sync(self) -> Rows:
        """As list()."""
        return _rows(self._app._call_sync("retention.list", {}))

    async def set(self, task: Optional[str] = None, **spans: Span) -> None:
        """Keeps jobs so long after their end: ``completed``, ``cancelled``, ``discarded``."""
        await self._app._call("retention.set", _rule(task, spans))

    def set_sync(self, task: Optional[str] = None, **spans: Span) -> None:
        """As set()."""
        self._app._call_sync("retention.set", _rule(task, spans))

    async def remove(self, task: Optional[str] = None) -> bool:
        """Deletes a rule; answers whether there was one."""
        return bool((await self._app._call("retention.remove", {"task": task}))["removed"])

    def remove_sync(self, task: Optional[str] = None) -> bool:
        """As remove()."""
        return bool(self._app._call_sync("retention.remove", {"task": task})["removed"])


class Locks:
    """The locks that are held, for operators; ``app.lock()`` takes one."""

    def __init__(self, app: Lavoro) -> None:
        self._app = app

    async def list(self) -> Rows:
        """The locks that are held, by name."""
        return _rows(await self._app._call("locks.list", {}))

    def list_sync(self) -> Rows:
        """As list()."""
        return _rows(self._app._call_sync("locks.list", {}))

    async def force_release(self, name: str) -> Optional[str]:
        """Releases a lock whoever holds it; answers who did. None: nobody."""
        answer = await self._app._call("locks.force_release", {"name": name})
        return _owner(answer)

    def force_release_sync(self, name: str) -> Optional[str]:
        """As force_release()."""
        return _owner(self._app._call_sync("locks.force_release", {"name": name}))


def _owner(answer: Any) -> Optional[str]:
    owner = answer["owner"]
    return None if owner is None else str(owner)


def _rule(task: Optional[str], spans: Mapping[str, Span]) -> dict[str, object]:
    shown: dict[str, object] = {"task": task}
    for key, span in spans.items():
        if key not in ("completed", "cancelled", "discarded"):
            raise InvalidOptionError(f"there is no {key!r} in a rule of retention")
        shown[f"{key}_ms"] = milliseconds(key, span)
    return shown


def _rows(answer: Any) -> Rows:
    return list(answer)


def _strings(answer: Any) -> Strings:
    return list(answer)
