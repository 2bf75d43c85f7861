"""Workers: every kind of handler, and every way in which one ends."""

from __future__ import annotations

import asyncio
import contextvars
import threading
import time
from contextlib import asynccontextmanager
from typing import Any

import pytest
from conftest import QUICK, run, until

import lavoro


def test_jobs_run_on_the_loop_and_in_threads(app: lavoro.Lavoro) -> None:
    @app.task
    async def add(a: int, b: int = 2) -> list[Any]:
        return [a + b, threading.current_thread() is threading.main_thread()]

    @app.task
    def subtract(a: int, b: int) -> list[Any]:
        return [a - b, threading.current_thread() is threading.main_thread()]

    async def main() -> None:
        async with app.worker():
            assert await (await add.enqueue(1)).result(10) == [3, True]
            assert await (await subtract.enqueue(a=1, b=2)).result(10) == [-1, False]

    run(main())


def test_outcomes_are_raised(app: lavoro.Lavoro) -> None:
    tries: list[int] = []

    @app.task(max_attempts=5)
    async def moody(how: str) -> str:
        job = lavoro.current_job()
        if how == "retry":
            tries.append(job.attempt)
            if job.attempt < 3:
                raise lavoro.Retry("not yet", delay=0)
            return "at last"
        if how == "snooze":
            tries.append(job.attempt)
            if len(tries) < 3:
                raise lavoro.Snooze("10 ms")
            return "awake"
        if how == "cancel":
            raise lavoro.Cancel("nobody wants it")
        raise lavoro.Fail("it cannot be")

    async def main() -> None:
        async with app.worker(timing=QUICK):
            assert await (await moody.enqueue("retry")).result(20) == "at last"
            assert tries == [1, 2, 3]
            tries.clear()
            assert await (await moody.enqueue("snooze")).result(20) == "awake"
            assert tries == [1, 1, 1]
            with pytest.raises(lavoro.JobFailedError, match="nobody wants it") as cancelled:
                await (await moody.enqueue("cancel")).result(20)
            assert cancelled.value.state == "cancelled"
            with pytest.raises(lavoro.JobFailedError, match="it cannot be") as failed:
                await (await moody.enqueue("fail")).result(20)
            assert failed.value.state == "discarded"
            assert failed.value.code == "invalid_state"

    run(main())


@pytest.mark.parametrize("kind", ["async", "thread"])
def test_an_error_is_kept_with_its_traceback(app: lavoro.Lavoro, kind: str) -> None:
    def broken() -> None:
        raise ValueError("no such thing")

    async def broken_async() -> None:
        broken()

    task = app.task(name="broken", max_attempts=1)(broken_async if kind == "async" else broken)

    async def main() -> str:
        async with app.worker():
            job = await task.enqueue()
            with pytest.raises(lavoro.JobFailedError):
                await job.result(10)
            return str((await job.info())["errors"][0]["message"])

    message = run(main())
    assert message.startswith("Traceback")
    assert message.endswith("ValueError: no such thing")
    assert "in broken" in message
    assert "_attempt.py" not in message


def test_a_running_job_is_cancelled(app: lavoro.Lavoro) -> None:
    seen: list[str] = []
    running = threading.Event()

    @app.task
    async def sleeper() -> None:
        running.set()
        try:
            await asyncio.sleep(60)
        except asyncio.CancelledError:
            seen.append(f"async {lavoro.current_job().stop_reason}")
            raise

    @app.task
    def spinner() -> None:
        running.set()
        job = lavoro.current_job()
        while True:
            try:
                job.check()
            except lavoro.JobCancelled:
                seen.append(f"thread {job.stop_reason}")
                raise
            time.sleep(0.01)

    async def main() -> None:
        async with app.worker(timing=QUICK):
            for task in (sleeper, spinner):
                running.clear()
                job = await task.enqueue()
                await until(running.is_set)
                assert await job.cancel() == "running"
                await until(lambda job=job: _is(job, "cancelled"))
            await until(lambda: len(seen) == 2)

    run(main())
    assert seen == ["async cancelled", "thread cancelled"]


async def _is(job: lavoro.JobHandle[Any], state: str) -> bool:
    return await job.state() == state


def test_an_attempt_takes_too_long(app: lavoro.Lavoro) -> None:
    ended: list[str] = []

    @app.task(timeout=0.2, max_attempts=1)
    async def slow() -> None:
        try:
            await asyncio.sleep(60)
        finally:
            ended.append(str(lavoro.current_job().stop_reason))

    async def main() -> None:
        async with app.worker(timing=QUICK):
            job = await slow.enqueue()
            with pytest.raises(lavoro.JobFailedError):
                await job.result(10)
            assert (await job.info())["errors"][0]["kind"] == "timeout"
            await until(lambda: ended)

    run(main())
    assert ended == ["timeout"]


def test_a_stop_waits_for_handlers(app: lavoro.Lavoro) -> None:
    started = threading.Event()

    @app.task
    async def brief() -> str:
        started.set()
        await asyncio.sleep(0.3)
        return "done"

    async def main() -> None:
        worker = app.worker()
        await worker.start()
        job = await brief.enqueue()
        await until(started.is_set)
        assert await worker.stop(10)
        assert await job.result(1) == "done"

    run(main())


def test_a_stop_hands_back_what_does_not_end(app: lavoro.Lavoro) -> None:
    started = threading.Event()

    @app.task
    async def endless() -> None:
        started.set()
        await asyncio.sleep(60)

    async def main() -> None:
        worker = app.worker()
        await worker.start()
        job = await endless.enqueue()
        await until(started.is_set)
        assert not await worker.stop(0.1)
        info = await job.info()
        assert (info["state"], info["attempt"]) == ("available", 0)

    run(main())


def test_middleware_goes_around_and_lifespan_holds_what_is_shared(place: dict[str, Any]) -> None:
    told: list[str] = []
    shared: contextvars.ContextVar[str] = contextvars.ContextVar("shared")

    @asynccontextmanager
    async def lifespan(app: lavoro.Lavoro) -> Any:
        told.append("open")
        shared.set("resource")
        yield
        told.append("close")

    app = lavoro.Lavoro(**place, lifespan=lifespan)

    @app.middleware
    async def outer(job: lavoro.Job, call_next: Any) -> Any:
        told.append(f"outer {job.task}")
        return await call_next() + "!"

    @app.middleware
    async def inner(job: lavoro.Job, call_next: Any) -> Any:
        told.append("inner")
        return await call_next()

    @app.task
    async def one() -> str:
        return shared.get()

    @app.task
    def two() -> str:
        return shared.get()

    async def main() -> None:
        async with app.worker():
            assert await (await one.enqueue()).result(10) == "resource!"
            assert await (await two.enqueue()).result(10) == "resource!"

    run(main())
    app.close_sync()
    assert told == ["open", "outer one", "inner", "outer two", "inner", "close"]


def test_a_task_has_a_concurrency_of_its_own(app: lavoro.Lavoro) -> None:
    running, most = 0, 0

    @app.task(concurrency=2)
    async def narrow() -> None:
        nonlocal running, most
        running += 1
        most = max(most, running)
        await asyncio.sleep(0.02)
        running -= 1

    async def main() -> None:
        async with app.worker(queues={"default": 8}):
            jobs = await narrow.enqueue_many({} for _ in range(20))
            for job in jobs:
                await job.result(20)

    run(main())
    assert most == 2


@pytest.mark.parametrize("kind", ["async", "thread"])
def test_a_handler_takes_batches(app: lavoro.Lavoro, kind: str) -> None:
    sizes: list[int] = []

    def body(jobs: list[lavoro.Job]) -> list[Any]:
        sizes.append(len(jobs))
        return [lavoro.Fail("odd") if job.payload["n"] % 2 else job.payload["n"] for job in jobs]

    async def body_async(jobs: list[lavoro.Job]) -> list[Any]:
        return body(jobs)

    app.task(name="bulk", batch=5)(body_async if kind == "async" else body)

    async def main() -> None:
        jobs = await app.enqueue_many({"task": "bulk", "payload": {"n": n}} for n in range(10))
        async with app.worker(queues={"default": 10}):
            for n, job in enumerate(jobs):
                if n % 2:
                    with pytest.raises(lavoro.JobFailedError, match="odd"):
                        await job.result(10)
                else:
                    assert await job.result(10) == n

    run(main())
    assert max(sizes) <= 5
    assert sum(sizes) == 10


def test_progress_logs_and_checkpoints(app: lavoro.Lavoro) -> None:
    @app.task
    async def steps() -> Any:
        job = lavoro.current_job()
        saved = await job.checkpoint()
        if saved is None:
            job.progress(50, "half", {"page": 1})
            job.log("first\nsecond")
            await job.save_checkpoint({"page": 1})
            raise lavoro.Retry(delay=0)
        return saved

    @app.task
    def blocking() -> Any:
        job = lavoro.current_job()
        job.save_checkpoint_sync([1])
        return job.checkpoint_sync()

    async def main() -> None:
        async with app.worker(timing=QUICK):
            job = await steps.enqueue()
            assert await job.result(10) == {"page": 1}
            await until(lambda: _progress(job))
            assert [line["line"] for line in await job.logs()] == ["first", "second"]
            assert await (await blocking.enqueue()).result(10) == [1]

    async def _progress(job: Any) -> bool:
        return bool((await job.info())["progress"])

    run(main())


def test_events_are_told(app: lavoro.Lavoro) -> None:
    @app.task
    async def quiet() -> None:
        pass

    async def main() -> list[str]:
        told: list[str] = []
        async with app.worker() as worker:

            async def listen() -> None:
                async for event in worker.events():
                    told.append(event["event"])

            listening = asyncio.ensure_future(listen())
            await asyncio.sleep(0)
            await (await quiet.enqueue()).result(10)
            await until(lambda: "completed" in told)
        await listening  # it ends with the worker
        return told

    told = run(main())
    told = [event for event in told if event != "queue_empty"]
    assert told == ["started", "completed"]


def test_one_loop_after_another(app: lavoro.Lavoro) -> None:
    @app.task
    async def echo(value: int) -> int:
        return value

    async def main(value: int) -> int:
        async with app.worker():
            return await (await echo.enqueue(value)).result(10)

    assert [run(main(value)) for value in range(3)] == [0, 1, 2]


def test_a_job_is_for_the_parameter_of_its_type(app: lavoro.Lavoro) -> None:
    @app.task
    def whoami(job: lavoro.Job, name: str) -> list[Any]:
        return [job.task, job.attempt, name, job.payload, job.tags, job.metadata]

    async def main() -> Any:
        async with app.worker():
            bound = whoami.options(tags=["a"], metadata={"k": 1})
            return await (await bound.enqueue(name="Ada")).result(10)

    assert run(main()) == ["whoami", 1, "Ada", {"name": "Ada"}, ["a"], {"k": 1}]


def test_a_worker_starts_once_and_knows_its_tasks(app: lavoro.Lavoro) -> None:
    @app.task
    def something() -> None: ...

    async def main() -> None:
        with pytest.raises(lavoro.errors.InvalidStateError, match="there are no tasks missing"):
            app.worker(tasks=["missing"])
        async with app.worker() as worker:
            with pytest.raises(lavoro.errors.InvalidStateError, match="started before"):
                await worker.start()
        with pytest.raises(lavoro.errors.InvalidOptionError, match="colour"):
            await app.worker(colour="red").start()

    run(main())
