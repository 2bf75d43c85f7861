"""The client: enqueue, look, wait, change; sync and async."""

from __future__ import annotations

import asyncio
import inspect
from datetime import datetime, timedelta, timezone
from typing import Any

import pytest
from conftest import run

import lavoro
from lavoro import _admin, _native


def test_sync_and_async_are_twins() -> None:
    for kind in (
        lavoro.Lavoro, lavoro.Task, lavoro.BoundTask, lavoro.JobHandle, lavoro.LockMaker,
        _admin.Jobs, _admin.Queues, _admin.Schedules, _admin.Retention, _admin.Locks,
    ):  # fmt: skip
        methods = dict(inspect.getmembers(kind, inspect.iscoroutinefunction))
        methods = {name: each for name, each in methods.items() if name[0] != "_"}
        assert methods
        for name, method in methods.items():
            twin = getattr(kind, f"{name}_sync", None)
            assert twin is not None, f"{kind.__name__}.{name} has no twin"
            assert inspect.signature(twin) == inspect.signature(method), f"{kind.__name__}.{name}"


def test_every_method_of_the_engine_is_offered() -> None:
    sources = "".join(
        inspect.getsource(module)
        for module in (_admin, __import__("lavoro.app").app, __import__("lavoro.handle").handle)
    )
    left = [name for name, _, _ in _native.METHODS if f'"{name}"' not in sources]
    # Declared by workers; sent through drivers.
    assert set(left) <= {"schedules.declare", "enqueue_sql"}


def test_each_code_has_a_class() -> None:
    classes = {each.code for each in lavoro.LavoroError.__subclasses__()}
    assert classes == set(_native.ERROR_CODES)
    made = lavoro.errors._of_code("timeout", "late", True)
    assert isinstance(made, lavoro.errors.TimeoutError)
    assert isinstance(made, TimeoutError)
    assert (made.code, made.transient, str(made)) == ("timeout", True, "late")


def test_enqueue_without_a_loop(app: lavoro.Lavoro) -> None:
    @app.task
    def greet(name: str) -> str:
        return f"Hello, {name}!"

    job = greet.options(priority=3, queue="mail", delay="1 hour").enqueue_sync("Ada")
    assert job.is_new
    info = job.info_sync()
    assert (info["task"], info["queue"], info["priority"]) == ("greet", "mail", 3)
    assert (info["payload"], info["state"]) == ({"name": "Ada"}, "scheduled")
    job.edit_sync(priority=4, delay=0)
    assert job.info_sync()["priority"] == 4
    job.edit_sync(payload={"name": "Grace"})
    assert job.info_sync()["payload"] == {"name": "Grace"}
    with pytest.raises(lavoro.errors.NumberOutOfRangeError):
        job.edit_sync(payload={"name": 2**60})
    assert job.cancel_sync() == "cancelled"
    with pytest.raises(lavoro.JobFailedError, match="cancelled"):
        job.result_sync(1)
    job.retry_sync()
    assert job.state_sync() == "available"
    assert job.why_sync()["state"] == "available"
    job.delete_sync()
    with pytest.raises(lavoro.errors.JobNotFoundError):
        job.info_sync()


def test_many_jobs_and_filters(app: lavoro.Lavoro) -> None:
    async def main() -> None:
        jobs = await app.enqueue_many(
            {"task": "t", "payload": n, "queue": "a" if n % 2 else "b", "tags": ["x"]}
            for n in range(10)
        )
        assert [job.id for job in jobs] == sorted(job.id for job in jobs)
        assert await app.jobs.count(queue="a", tag="x") == 5
        page = await app.jobs.page(limit=4)
        assert len(page["jobs"]) == 4
        assert (await app.jobs.page(limit=4, before=page["next"]))["jobs"][0]["id"] < page["next"]
        assert (await app.jobs.edit({"priority": 9}, queue="a"))["changed"] == 5
        assert (await app.jobs.cancel(queue="b", state="available"))["changed"] == 5
        assert (await app.jobs.retry(queue="b", state="cancelled"))["changed"] == 5
        assert (await app.jobs.delete(queue="b", state="available"))["changed"] == 5
        assert len(await app.jobs.list()) == 5
        await app.queues.pause("a")
        assert [q["name"] for q in await app.queues.list() if q["paused_at"]] == ["a"]
        await app.queues.resume("a")
        assert (await app.queues.rename("a", "c"))["to"] == "c"
        assert (await app.queues.clear("c"))["deleted"] == 5

    run(main())


def test_unique_keys(app: lavoro.Lavoro) -> None:
    first = app.enqueue_sync("t", unique_key="one")
    second = app.enqueue_sync("t", unique_key="one")
    assert first == second
    assert (first.is_new, second.is_new) == (True, False)


def test_options_are_refused_by_name(app: lavoro.Lavoro) -> None:
    errors = lavoro.errors
    refused: list[tuple[type[Exception], str, dict[str, Any]]] = [
        (errors.InvalidOptionError, "colour", {"colour": "red"}),
        (errors.InvalidOptionError, "delay is 'soon'", {"delay": "soon"}),
        (errors.InvalidOptionError, "delay is -1", {"delay": -1}),
        (errors.InvalidOptionError, "tags is a str", {"tags": "one"}),
        (errors.InvalidTimeError, "run_at is 2031", {"run_at": datetime(2031, 1, 1)}),
        (errors.InvalidOptionError, "max_attempts", {"max_attempts": 0}),
        (errors.InvalidQueueError, "queue", {"queue": ""}),
        (errors.InvalidOptionError, "priority", {"priority": "high"}),
    ]
    for kind, words, options in refused:
        with pytest.raises(kind, match=words):
            app.enqueue_sync("t", **options)
    with pytest.raises(errors.PayloadTooLargeError):
        app.enqueue_sync("t", "x" * 2_000_000)
    with pytest.raises(errors.NumberOutOfRangeError):
        app.enqueue_sync("t", 2**60)
    with pytest.raises(errors.NumberOutOfRangeError):
        app.enqueue_sync("t", float("nan"))
    with pytest.raises(errors.InvalidPayloadError):
        app.enqueue_sync("t", object())


def test_instants_and_spans(app: lavoro.Lavoro) -> None:
    at = datetime(2031, 5, 6, 7, 8, 9, tzinfo=timezone(timedelta(hours=2)))
    info = app.enqueue_sync("t", run_at=at).info_sync()
    assert info["run_at"].startswith("2031-05-06T05:08:09")
    from lavoro._spans import milliseconds

    words = {"1h 30m": 5_400_000, "five": None, "2 days and 1 second": 172_801_000, "10 ms": 10}
    for text, expected in words.items():
        if expected is None:
            with pytest.raises(lavoro.errors.InvalidOptionError):
                milliseconds("span", text)
        else:
            assert milliseconds("span", text) == expected
    assert milliseconds("span", timedelta(minutes=1)) == 60_000
    assert milliseconds("span", 0.25) == 250


def test_a_task_is_registered_once(app: lavoro.Lavoro) -> None:
    @app.task
    def one() -> None: ...

    with pytest.raises(lavoro.errors.DuplicateHandlerError, match="'one'"):
        app.task(name="one")(lambda: None)
    with pytest.raises(lavoro.errors.InvalidOptionError, match="colour"):
        app.task(name="two", colour="red")(lambda: None)  # type: ignore[call-overload]


def test_connecting_fails_with_a_code() -> None:
    with pytest.raises(lavoro.errors.InvalidUrlError):
        lavoro.Lavoro("http://nowhere").connect_sync()
    with pytest.raises(lavoro.errors.ConnectionFailedError) as failed:
        lavoro.Lavoro("postgres://127.0.0.1:1/none").enqueue_sync("t")
    assert failed.value.transient or failed.value.code == "connection_failed"


def test_a_closed_application_says_so(place: dict[str, Any]) -> None:
    app = lavoro.Lavoro(**place)
    with app:
        app.enqueue_sync("t")
    with pytest.raises(lavoro.errors.ClosedError):
        app.enqueue_sync("t")


def test_a_schema_is_missing(server: str) -> None:
    app = lavoro.Lavoro(server, schema="nowhere", migrate=False)
    with pytest.raises(lavoro.errors.SchemaMissingError):
        app.connect_sync()
    other = lavoro.Lavoro(server, schema="migrated", migrate=False)
    assert other.migrate_sync()
    assert other.migrate_sync() == []
    with other:
        other.enqueue_sync("t")


def test_many_enqueues_at_once(app: lavoro.Lavoro) -> None:
    async def main() -> None:
        jobs = await asyncio.gather(*(app.enqueue("t", n) for n in range(500)))
        assert len({job.id for job in jobs}) == 500

    run(main())
    assert app.jobs.count_sync() == 500


def test_cancelled_awaits_leave_nothing_behind(app: lavoro.Lavoro) -> None:
    async def main() -> None:
        job = await app.enqueue("nobody")
        waiting = [asyncio.ensure_future(job.result(60)) for _ in range(50)]
        await asyncio.sleep(0.05)
        for each in waiting:
            each.cancel()
        done = await asyncio.gather(*waiting, return_exceptions=True)
        assert all(isinstance(each, asyncio.CancelledError) for each in done)
        async with app.lock("busy"):
            late = asyncio.ensure_future(app.lock("busy").acquire())
            await asyncio.sleep(0.05)
            late.cancel()
            await asyncio.gather(late, return_exceptions=True)
        async with app.lock("busy", wait=2):
            pass

    run(main())


def test_locks(app: lavoro.Lavoro) -> None:
    with app.lock("l", owner="me") as lock:
        assert (lock.name, lock.owner, lock.held, lock.loss) == ("l", "me", True, None)
        assert 0 < lock.remaining <= 15
        lock.extend_sync(20)
        assert app.lock("l").try_acquire_sync() is None
        with pytest.raises(TimeoutError), app.lock("l", wait=0):
            pass
        with pytest.raises(TimeoutError), app.lock("l", wait=0.1):
            pass
        assert [each["name"] for each in app.locks.list_sync()] == ["l"]
    assert not lock.held
    again = app.lock("l").acquire_sync()
    assert again.fencing_token > lock.fencing_token
    assert app.locks.force_release_sync("l") is not None
    with pytest.raises(lavoro.errors.LockLostError):
        again.extend_sync(5)


def test_schedules(app: lavoro.Lavoro) -> None:
    ran: list[Any] = []

    @app.schedule(cron="0 7 * * 1-5", tz="Europe/Rome", payload={"kind": "daily"})
    @app.task
    async def report(kind: str) -> None:
        ran.append((kind, lavoro.current_job().slot))

    @app.every("five minutes", name="often")
    @app.task
    async def often() -> None: ...

    async def main() -> None:
        async with app.worker():
            names = {each["name"]: each for each in await app.schedules.list()}
            assert set(names) == {"report", "often"}
            job = await app.schedules.run("report")
            await job.result(10)
            await app.schedules.pause("often")
            await app.schedules.resume("often")
            assert len(await app.schedules.preview(often, every="day", at="17:30")) == 10
            assert await app.schedules.replace(often, every=60, name="new")
            assert (await app.schedules.show("new"))["name"] == "new"
            assert await app.schedules.remove("new")
            with pytest.raises(lavoro.errors.ScheduleNotFoundError):
                await app.schedules.show("new")

    run(main())
    kind, slot = ran[0]
    assert (kind, slot.schedule) == ("daily", "report")
    with pytest.raises(lavoro.errors.InvalidOptionError, match="twice"):
        app.schedule(every=1, name="often")(often)


def test_figures(app: lavoro.Lavoro) -> None:
    app.enqueue_sync("t")
    assert app.unhandled_sync()[0]["task"] == "t"
    assert "lavoro" in app.metrics_sync()
    assert app.diagnose_sync()
    assert app.workers_sync() == []
    app.retention.set_sync("t", completed="2 days")
    assert any(rule["task"] == "t" for rule in app.retention.list_sync())
    assert app.retention.remove_sync("t")
    assert isinstance(app.statistics_sync(), list)
