"""The testing kit, and the plugin of pytest as a project uses it."""

from __future__ import annotations

import asyncio
from datetime import datetime, timedelta, timezone
from importlib import metadata
from typing import Any

import pytest
from conftest import run

import lavoro
from lavoro.testing import Kit, contains

pytest_plugins = ["pytester"]


@pytest.fixture
def kit(app: lavoro.Lavoro) -> Kit:
    return Kit(app)


def test_a_drain_runs_what_is_there_and_what_comes(app: lavoro.Lavoro, kit: Kit) -> None:
    seen: list[Any] = []

    @app.middleware
    async def around(job: lavoro.Job, call_next: Any) -> Any:
        seen.append("before")
        return await call_next()

    @app.task(queue="mail")
    def send(to: str) -> None:
        seen.append(to)
        if to == "nobody":
            raise ValueError("no such address")

    @app.task
    async def sign_up(to: str) -> int:
        await send.enqueue(to=to)
        return 7

    @app.task(batch=10)
    async def bulk(jobs: list[lavoro.Job]) -> None:
        seen.append(len(jobs))

    async def main() -> None:
        job = await sign_up.enqueue("ada")
        await app.enqueue("bulk", {"a": 1})
        drained = await kit.drain()
        assert (drained.attempts, drained.completed, drained.failures) == (3, 3, [])
        assert seen.count("ada") == 1 and seen.count(1) == 1 and seen.count("before") == 2
        assert await job.result(1) == 7
        assert (await kit.drain()).attempts == 0

    run(main())
    send.enqueue_sync("nobody")
    drained = kit.drain_sync()
    assert (drained.attempts, drained.waiting) == (1, 1)
    assert drained.failures[0].task == "send"
    assert "no such address" in drained.failures[0].message


def test_parameters_may_be_positional(app: lavoro.Lavoro, kit: Kit) -> None:
    @app.task
    def both(job: lavoro.Job, a: int, b: int = 2, /, **rest: int) -> list[int]:
        return [job.attempt, a, b, *rest.values()]

    job = both.enqueue_sync(1, c=3)
    assert kit.drain_sync().completed == 1
    assert job.result_sync(1) == [1, 1, 2, 3]


def test_a_job_that_enqueues_itself_cannot_hang_a_test(app: lavoro.Lavoro, kit: Kit) -> None:
    @app.task
    async def again() -> None:
        await again.enqueue()

    again.enqueue_sync()
    with pytest.raises(lavoro.errors.InvalidStateError, match="has run 5 attempts, its limit"):
        kit.drain_sync(limit=5)
    app.enqueue_sync("nobodys")
    with pytest.raises(lavoro.errors.InvalidStateError, match="no handler"):
        kit.drain_sync()


def test_it_is_another_time(app: lavoro.Lavoro, kit: Kit) -> None:
    tries: list[int] = []

    @app.task(backoff="2 days", timeout="5 s")
    def remind() -> None:
        tries.append(lavoro.current_job().attempt)
        if len(tries) == 1:
            raise ValueError("not yet")

    remind.options(delay="1 day").enqueue_sync()
    assert kit.drain_sync().attempts == 0
    kit.travel("1 day")
    kit.travel(1)
    assert kit.drain_sync().waiting == 1
    kit.travel("2 days")
    assert kit.drain_sync().completed == 1
    assert tries == [1, 2]
    at = datetime(2040, 1, 2, tzinfo=timezone(timedelta(hours=1)))
    remind.options(run_at=at).enqueue_sync()
    kit.freeze(at - timedelta(seconds=1))
    assert kit.drain_sync().attempts == 0
    kit.freeze(at)
    assert kit.now == at
    assert kit.drain_sync().completed == 1
    with pytest.raises(lavoro.errors.InvalidTimeError, match="time zone"):
        kit.freeze(datetime(2040, 1, 2))


def test_a_handler_that_hangs_is_stopped(app: lavoro.Lavoro, kit: Kit) -> None:
    @app.task(timeout="300 ms", max_attempts=1)
    async def hang() -> None:
        await asyncio.sleep(60)

    hang.enqueue_sync()
    drained = kit.drain_sync()
    assert (drained.attempts, drained.completed) == (1, 0)
    assert kit.enqueued_sync("hang") == []


def test_jobs_run_inline(app: lavoro.Lavoro, kit: Kit) -> None:
    @app.task
    def half(n: int) -> int:
        if n % 2:
            raise lavoro.Fail("it is odd")
        return n // 2

    @app.task
    async def quarter(n: int) -> Any:
        return await (await half.enqueue(n // 2)).result(1)

    async def main() -> None:
        with kit.inline():
            assert await (await quarter.options(delay="1 day").enqueue(8)).result(1) == 2
            with pytest.raises(lavoro.JobFailedError, match="it is odd"):
                await half.enqueue(7)
            # Code without an event loop, under one.
            assert half.enqueue_sync(4).result_sync(1) == 2

    run(main())
    with kit.inline():
        assert half.enqueue_sync(2).result_sync(1) == 1
    half.enqueue_sync(2)
    assert len(kit.assert_enqueued_sync(half)) == 1


def test_what_is_enqueued(app: lavoro.Lavoro, kit: Kit) -> None:
    @app.task(queue="mail")
    def send(to: str, tags: list[str]) -> None: ...

    async def main() -> None:
        await send.enqueue("ada", ["a", "b"])
        job = await send.options(unique_key="one", delay=60).enqueue("eve", [])
        found = await kit.assert_enqueued(send, payload={"tags": ["b"]}, queue="mail", count=1)
        assert found[0]["payload"]["to"] == "ada"
        assert (await kit.assert_enqueued("send", unique_key="one"))[0]["id"] == job.id
        await kit.assert_enqueued("send", state="scheduled", count=1)
        await kit.assert_enqueued("send", count=2)
        await kit.refute_enqueued("send", payload={"to": "bob"})
        with pytest.raises(AssertionError) as failed:
            await kit.assert_enqueued("send", payload={"to": "bob"})
        said = str(failed.value)
        assert said.startswith("expected at least 1 of task 'send', payload {'to': 'bob'}, found 0;")
        assert "task 'send' in queue 'mail', scheduled: {\"tags\": [], \"to\": \"eve\"}" in said
        with pytest.raises(AssertionError, match="expected 0 .* found 2"):
            await kit.refute_enqueued(send)
        with pytest.raises(TypeError, match="not told by 'colour'"):
            await kit.assert_enqueued(send, colour="red")

    run(main())


def test_containment_is_that_of_postgresql() -> None:
    whole = {"a": 1, "b": {"c": [1, 2, {"d": None}]}, "e": "x", "t": True}
    for part in ({}, {"a": 1.0}, {"b": {}}, {"b": {"c": [2]}}, {"b": {"c": [{"d": None}, 1, 1]}}):
        assert contains(whole, part), part
    for part in (None, [], {"a": 2}, {"a": "1"}, {"f": None}, {"b": {"c": [3]}}, {"t": 1}):
        assert not contains(whole, part), part


PROJECT = """
    import lavoro

    app = lavoro.Lavoro("postgres://nowhere.invalid/none")

    @app.task
    def send(to: str) -> None: ...
"""

TESTS = """
    import pytest
    import shop

    @pytest.mark.parametrize("round", [1, 2])
    def test_each_test_begins_anew(lavoro_kit, round):
        shop.send.enqueue_sync(to="ada")
        lavoro_kit.assert_enqueued_sync(shop.send, payload={"to": "ada"}, count=1)
        if round == 1:
            assert lavoro_kit.drain_sync().completed == 1

    def test_the_application_is_given_back():
        assert shop.app._options["url"] == "postgres://nowhere.invalid/none"
        assert shop.app._native is None
"""


def project(pytester: pytest.Pytester, ini: str) -> pytest.RunResult:
    pytester.makepyfile(shop=PROJECT, test_shop=TESTS)
    pytester.makeini(ini)
    plugins = ["-p", "no:cacheprovider"]
    if not any(each.value == "lavoro._pytest" for each in entry_points()):
        # Its entry point is there only where the package is installed.
        plugins += ["-p", "lavoro._pytest"]
    return pytester.runpytest_subprocess(*plugins)


def entry_points() -> Any:
    found: Any = metadata.entry_points()
    if hasattr(found, "select"):
        return found.select(group="pytest11")
    return found.get("pytest11", ())  # before Python 3.10


def test_a_project_uses_the_plugin(pytester: pytest.Pytester) -> None:
    result = project(pytester, "[pytest]\npythonpath = .\nlavoro_app = shop:app\n")
    result.assert_outcomes(passed=3)


def test_the_plugin_says_what_it_needs(pytester: pytest.Pytester) -> None:
    result = project(pytester, "[pytest]\npythonpath = .\n")
    result.stdout.fnmatch_lines(["*set lavoro_app = module:attribute*"])
