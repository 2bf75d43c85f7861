"""Edges: forks, ends of the interpreter, handlers that do what handlers should not."""

from __future__ import annotations

import asyncio
import os
import signal
import subprocess
import sys
import textwrap
import time
from pathlib import Path
from typing import Any

import pytest
from conftest import QUICK, run, until

import lavoro


def script(tmp_path: Path, place: dict[str, Any], body: str) -> list[str]:
    """A program that begins with an application at this place."""
    head = f"""
        import asyncio, os, signal, sys, threading, time
        import lavoro
        QUICK = {QUICK!r}
        app = lavoro.Lavoro(**{place!r}, warn_unhandled=False)
    """
    path = tmp_path / "program.py"
    path.write_text(textwrap.dedent(head) + textwrap.dedent(body))
    # Not -X dev, which makes asyncio speak of callbacks that a busy machine makes slow.
    return [sys.executable, "-X", "faulthandler", "-W", "error", str(path)]


def program(
    tmp_path: Path, place: dict[str, Any], body: str, timeout: float = 60
) -> subprocess.CompletedProcess[str]:
    """Runs a program to its end."""
    command = script(tmp_path, place, body)
    return subprocess.run(command, capture_output=True, text=True, timeout=timeout)


def test_a_fork_opens_connections_of_its_own(tmp_path: Path, place: dict[str, Any]) -> None:
    done = program(
        tmp_path,
        place,
        """
        first = app.enqueue_sync("parent")
        held = app.lock("held").acquire_sync()
        native = app.connect_sync()

        def child():
            job = app.enqueue_sync("child")
            assert job.id > first.id
            assert app.jobs.count_sync() == 2
            assert asyncio.run(app.jobs.count()) == 2
            try:
                held.extend_sync(5)
            except lavoro.errors.ClosedError as error:
                assert "its fork" in str(error), error
            else:
                raise AssertionError("the parent's lock was used")
            try:
                native.call("queues.list", b"")
            except lavoro.errors.ClosedError:
                pass
            else:
                raise AssertionError("the parent's client was used")
            app.close_sync()

        import warnings
        warnings.simplefilter("ignore", DeprecationWarning)
        for _ in range(5):
            pid = os.fork()
            if pid == 0:
                try:
                    child()
                except BaseException:
                    import traceback
                    traceback.print_exc()
                    os._exit(1)
                os._exit(0)
            assert os.waitpid(pid, 0)[1] == 0
            app.jobs.delete_sync(task="child", state="available")
        held.extend_sync(5)
        held.release_sync()
        print(app.jobs.count_sync())
        """,
    )
    assert (done.returncode, done.stdout, done.stderr) == (0, "1\n", "")


def test_a_fork_ends_like_any_process(tmp_path: Path, place: dict[str, Any]) -> None:
    done = program(
        tmp_path,
        place,
        """
        import warnings
        warnings.simplefilter("ignore", DeprecationWarning)
        app.enqueue_sync("parent")
        if os.fork() == 0:
            app.enqueue_sync("child")
            sys.exit(0)  # with all that happens at exit
        status = os.wait()[1]
        print(status, app.jobs.count_sync())
        """,
    )
    assert (done.returncode, done.stdout, done.stderr) == (0, "0 2\n", "")


@pytest.mark.parametrize("kind", ["async", "thread"])
@pytest.mark.parametrize(
    "name", ["SystemExit", "KeyboardInterrupt", "GeneratorExit", "BaseException"]
)
def test_what_no_handler_should_raise(app: lavoro.Lavoro, kind: str, name: str) -> None:
    def fatal() -> None:
        raise getattr(__import__("builtins"), name)("on purpose")

    async def fatal_async() -> None:
        fatal()

    app.task(name="fatal", max_attempts=1)(fatal_async if kind == "async" else fatal)

    @app.task
    async def after() -> str:
        return "alive"

    async def main() -> None:
        async with app.worker():
            job = await app.enqueue("fatal", max_attempts=1)
            with pytest.raises(lavoro.JobFailedError, match=f"{name}: on purpose"):
                await job.result(10)
            assert (await job.info())["errors"][0]["kind"] == "panicked"
            assert await (await after.enqueue()).result(10) == "alive"

    run(main())


def test_results_that_are_no_json(app: lavoro.Lavoro) -> None:
    class Hostile:
        def __repr__(self) -> str:
            raise RuntimeError("no")

    loop: list[Any] = []
    loop.append(loop)
    deep: list[Any] = []
    for _ in range(100_000):
        deep = [deep]
    values: dict[str, Any] = {
        "object": object(),
        "nan": float("nan"),
        "loop": loop,
        "deep": deep,
        "surrogate": "\ud800",
        "hostile": Hostile(),
        "lambda": lambda: None,
        "huge": 2**70,
    }

    @app.task
    async def give(name: str) -> Any:
        return values[name]

    async def main() -> None:
        async with app.worker():
            for name in values:
                result = await (await give.enqueue(name)).result(20)
                assert name == "huge" or "not stored" in result["lavoro_note"], (name, result)
            assert await (await app.enqueue("give", {"name": "missing"}, max_attempts=1)).state()

    run(main())


def test_errors_that_cannot_be_told(app: lavoro.Lavoro) -> None:
    class Mute(Exception):
        def __str__(self) -> str:
            raise RuntimeError("no words")

    def recurse(n: int) -> int:
        return recurse(n + 1) + 1

    @app.task(max_attempts=1)
    async def fail(how: str) -> None:
        if how == "mute":
            raise Mute
        if how == "deep":
            recurse(0)
        if how == "huge":
            raise ValueError("x" * 5_000_000)
        if how == "chained":
            error: Exception = ValueError("first")
            for n in range(300):
                try:
                    raise error
                except Exception as cause:
                    following = ValueError(f"error {n}")
                    following.__cause__ = cause
                    error = following
            raise error
        raise ValueError("\0 and \ud800")

    async def main() -> None:
        async with app.worker():
            for how in ("mute", "deep", "huge", "chained", "odd"):
                job = await fail.enqueue(how)
                with pytest.raises(lavoro.JobFailedError):
                    await job.result(20)
                message = (await job.info())["errors"][0]["message"]
                assert 0 < len(message.encode()) <= 16 * 1024

    run(main())


def test_a_payload_that_does_not_fit_fails_its_job(app: lavoro.Lavoro) -> None:
    @app.task(max_attempts=1)
    async def strict(n: int) -> None: ...

    async def main() -> None:
        async with app.worker():
            for payload in ({}, {"n": 1, "m": 2}, [1, 2], None):
                job = await app.enqueue("strict", payload, max_attempts=1)
                with pytest.raises(lavoro.JobFailedError, match="InvalidPayloadError"):
                    await job.result(10)

    run(main())


def test_a_handler_that_keeps_the_interpreter_for_itself_keeps_its_lease(
    app: lavoro.Lavoro,
) -> None:
    attempts: list[int] = []

    @app.task
    async def greedy() -> str:
        attempts.append(lavoro.current_job().attempt)
        _hold_the_lock(5 * 1.5 + 1)
        return "mine"

    async def main() -> None:
        async with app.worker(timing=QUICK):
            job = await greedy.enqueue()
            assert await job.result(40) == "mine"

    rescuer = lavoro.Lavoro(app.url, schema=app.schema, maintenance=True, timing=QUICK)
    with rescuer:
        run(main())
    assert attempts == [1]


def _hold_the_lock(seconds: float) -> None:
    """Runs C that never lets another thread of Python's run."""
    import ctypes

    libc = ctypes.PyDLL(None)  # calls with the interpreter's lock held
    until = time.monotonic() + seconds
    while time.monotonic() < until:
        libc.usleep(ctypes.c_uint(int(max(0, until - time.monotonic()) * 1_000_000)))


def test_interpreters_end_with_live_threads(tmp_path: Path, place: dict[str, Any]) -> None:
    command = script(
        tmp_path,
        place,
        """
        started = threading.Event()

        @app.task
        async def quick(): pass

        @app.task
        def slow():
            started.set()
            time.sleep(0.05)

        async def main():
            worker = app.worker(queues={"default": 20})
            await worker.start()
            await quick.enqueue_many({} for _ in range(50))
            await slow.enqueue()
            stream = worker.events()
            listening = asyncio.ensure_future(stream.__anext__())
            waiting = asyncio.ensure_future(app.job(1).result(60))
            lock = await app.lock(f"l{os.getpid()}").acquire()
            while not started.is_set():
                await asyncio.sleep(0.001)
            # It is not stopped, and threads, locks and waits are left to the end.
            globals().update(worker=worker, lock=lock)
            if sys.argv[1] == "exit":
                sys.exit(3)
            if sys.argv[1] == "raise":
                raise RuntimeError("as any program may")

        asyncio.run(main())
        """,
    )
    command = [sys.executable, command[-1]]
    app = lavoro.Lavoro(**place)
    app.connect_sync()  # so that the programs do not all migrate
    for number in range(20):
        how = ("return", "exit", "raise")[number % 3]
        done = subprocess.run([*command, how], capture_output=True, text=True, timeout=60)
        assert done.returncode == {"return": 0, "exit": 3, "raise": 1}[how], done.stderr
        expected = "RuntimeError: as any program may" if how == "raise" else ""
        assert done.stderr.strip().endswith(expected), done.stderr
        if not expected:
            assert done.stderr == "", done.stderr
    app.close_sync()


def test_an_exit_of_the_process_costs_a_lease(tmp_path: Path, place: dict[str, Any]) -> None:
    done = program(
        tmp_path,
        place,
        """
        @app.task
        async def leave(): os._exit(9)

        job = leave.enqueue_sync()
        app.run_worker(timing=QUICK)
        """,
    )
    assert done.returncode == 9

    app = lavoro.Lavoro(**place)

    @app.task
    async def leave() -> bool:
        return lavoro.current_job().suspect

    async def main() -> bool:
        async with app.worker(timing=QUICK):
            job: lavoro.JobHandle[bool] = app.job(1)
            return await job.result(30)

    assert run(main())
    app.close_sync()


@pytest.mark.parametrize("signals", [[signal.SIGTERM], [signal.SIGINT], [signal.SIGINT] * 2])
def test_signals_stop_a_worker(tmp_path: Path, place: dict[str, Any], signals: list[int]) -> None:
    command = script(
        tmp_path,
        place,
        """
        @app.task
        async def brief():
            print("running", flush=True)
            await asyncio.sleep(0.5 if len(sys.argv) < 2 else 60)
            print("finished", flush=True)

        brief.enqueue_sync()
        sys.exit(app.run_worker(timing=QUICK))
        """,
    )
    hurried = len(signals) > 1
    child = subprocess.Popen(
        command + ["long"] * hurried, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True
    )
    assert child.stdout is not None
    assert child.stdout.readline() == "running\n"
    for each in signals:
        child.send_signal(each)
        time.sleep(0.2)
    out, err = child.communicate(timeout=30)
    assert (child.returncode, out, err) == (0, "" if hurried else "finished\n", "")


def test_the_loop_of_uvloop(app: lavoro.Lavoro) -> None:
    uvloop = pytest.importorskip("uvloop")

    @app.task
    async def one() -> str:
        return type(asyncio.get_running_loop()).__module__

    @app.task
    def two() -> int:
        return 2

    async def main() -> None:
        async with app.worker():
            assert "uvloop" in await (await one.enqueue()).result(10)
            assert await (await two.enqueue()).result(10) == 2

    for _ in range(2):
        loop = uvloop.new_event_loop()
        try:
            loop.run_until_complete(asyncio.wait_for(main(), 30))
        finally:
            loop.close()


def test_ctrl_c_ends_a_wait_in_a_thread(tmp_path: Path, place: dict[str, Any]) -> None:
    command = script(
        tmp_path,
        place,
        """
        job = app.enqueue_sync("nobody")
        try:
            print("waiting", flush=True)
            job.result_sync(60)
        except KeyboardInterrupt:
            print("interrupted")
        """,
    )
    child = subprocess.Popen(command, stdout=subprocess.PIPE, text=True)
    assert child.stdout is not None
    assert child.stdout.readline() == "waiting\n"
    child.send_signal(signal.SIGINT)
    out, _ = child.communicate(timeout=10)
    assert (child.returncode, out) == (0, "interrupted\n")


def test_a_cancelled_start_and_a_worker_in_a_fork(app: lavoro.Lavoro) -> None:
    @app.task
    async def nothing() -> None: ...

    async def main() -> None:
        starting = asyncio.ensure_future(app.worker().start())
        await asyncio.sleep(0)
        starting.cancel()
        await asyncio.gather(starting, return_exceptions=True)
        async with app.worker():
            await (await nothing.enqueue()).result(10)
        await until(_no_workers, 40)

    async def _no_workers() -> bool:
        return not await app.workers()

    run(main())


def test_nothing_native_outlives_its_use(app: lavoro.Lavoro) -> None:
    @app.task
    async def nothing() -> None: ...

    async def batch() -> None:
        async with app.worker(queues={"default": 100}):
            for _ in range(10):
                jobs = await nothing.enqueue_many({} for _ in range(200))
                await jobs[-1].result(20)

    run(batch())
    before = _resident()
    descriptors = len(os.listdir("/proc/self/fd"))
    for _ in range(3):
        run(batch())
    assert _resident() - before < 8 << 20
    assert len(os.listdir("/proc/self/fd")) <= descriptors + 2


def _resident() -> int:
    pages = int(Path("/proc/self/statm").read_text().split()[1])
    return pages * os.sysconf("SC_PAGE_SIZE")
