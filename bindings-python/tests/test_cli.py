"""python -m lavoro."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import textwrap
import time
from pathlib import Path
from typing import Any

import pytest

import lavoro

COMMAND = [sys.executable, "-m", "lavoro"]

MODULE = """
    import lavoro

    app = lavoro.Lavoro(**{place!r}, warn_unhandled=False)

    @app.task
    async def greet(name: str) -> str:
        return {word!r} + name
"""


@pytest.fixture
def project(tmp_path: Path, place: dict[str, Any]) -> Path:
    write(tmp_path, place, "Hello, ")
    return tmp_path


def write(project: Path, place: dict[str, Any], word: str) -> None:
    text = textwrap.dedent(MODULE).format(place=place, word=word)
    (project / "tasks.py").write_text(text)


def call(project: Path, *arguments: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [*COMMAND, *arguments], cwd=project, capture_output=True, text=True, timeout=60
    )


def serve(project: Path, *arguments: str) -> subprocess.Popen[str]:
    return subprocess.Popen(
        [*COMMAND, "worker", "tasks:app", *arguments], cwd=project, stderr=subprocess.PIPE, text=True
    )


def test_migrate_enqueue_and_worker(project: Path, place: dict[str, Any]) -> None:
    database = ["--database-url", place["url"], "--schema", place["schema"]]
    applied = json.loads(call(project, "migrate", "--json", *database).stdout)["applied"]
    assert applied
    assert "up to date" in call(project, "migrate", *database).stdout
    done = call(project, "enqueue", "greet", '{"name": "Ada"}', "--queue", "mail", *database)
    assert (done.returncode, done.stderr) == (0, "")
    answer = json.loads(call(project, "enqueue", "t", "--json", "--delay", "1h", *database).stdout)
    assert answer == {"id": str(int(done.stdout) + 1), "created": True}
    worker = serve(project, "--queue", "mail=2", "--name", "ours")
    with lavoro.Lavoro(**place) as app:
        assert app.job(int(done.stdout)).result_sync(30) == "Hello, Ada"
        assert app.workers_sync()[0]["name"] == "ours"
    worker.send_signal(signal.SIGTERM)
    worker.communicate(timeout=30)
    assert worker.returncode == 0


def test_a_change_is_loaded(project: Path, place: dict[str, Any]) -> None:
    worker = serve(project, "--reload")
    try:
        with lavoro.Lavoro(**place) as app:
            assert app.enqueue_sync("greet", {"name": "Ada"}).result_sync(30) == "Hello, Ada"
            time.sleep(1)  # so that the time of the file differs
            write(project, place, "Goodbye, ")
            deadline = time.monotonic() + 40
            while app.enqueue_sync("greet", {"name": "Ada"}).result_sync(30) != "Goodbye, Ada":
                assert time.monotonic() < deadline
    finally:
        worker.send_signal(signal.SIGINT)
        worker.communicate(timeout=30)
    assert worker.returncode == 0


@pytest.mark.parametrize(
    ("arguments", "code", "said"),
    [
        (["worker", "nowhere:app"], 2, "there is no module 'nowhere'"),
        (["worker", "tasks:nothing"], 2, "is no lavoro.Lavoro"),
        (["worker", "tasks:app", "--queue", "a=b"], 2, "NAME=N"),
        (["worker", "tasks:app", "--queue", "a=0"], 1, "invalid_option"),
        (["enqueue", "t", "{"], 2, "no JSON"),
        (["enqueue", "t", "--database-url", "http://x"], 1, "invalid_url"),
        (["migrate", "--database-url", "postgres://127.0.0.1:1/x"], 1, "connection_failed"),
        (["fly"], 2, "fly"),
    ],
)
def test_what_is_wrong_is_said(project: Path, arguments: list[str], code: int, said: str) -> None:
    done = call(project, *arguments)
    assert done.returncode == code, done.stderr
    assert said in done.stderr
    assert "Traceback" not in done.stderr


def test_a_server_for_development(tmp_path: Path) -> None:
    server = subprocess.Popen(
        [*COMMAND, "dev"], cwd=tmp_path, stdout=subprocess.PIPE, text=True, env={**os.environ}
    )
    assert server.stdout is not None
    url = server.stdout.readline().strip()
    with lavoro.Lavoro(url) as app:
        app.enqueue_sync("t")
    server.send_signal(signal.SIGINT)
    server.communicate(timeout=60)
    assert server.returncode == 0
    assert (tmp_path / ".lavoro").is_dir()
