"""One throw-away PostgreSQL for all tests, and a fresh schema for each."""

from __future__ import annotations

import asyncio
import itertools
import os
from collections.abc import Iterator
from typing import Any

import pytest

import lavoro

# Leases that end soon, so that tests of crashes do not take minutes.
QUICK = {"heartbeat": 0.2, "lease": 1.5, "scan": 0.2, "poll": 0.05}

_numbers = itertools.count()


@pytest.fixture(scope="session")
def server() -> Iterator[str]:
    """The URL of the server."""
    with lavoro.Lavoro("memory:") as app:
        yield app.url


@pytest.fixture
def place(server: str) -> dict[str, Any]:
    """Options of a Lavoro with a schema of its own."""
    return {"url": server, "schema": f"t{os.getpid()}_{next(_numbers)}", "migrate": True}


@pytest.fixture
def app(place: dict[str, Any]) -> Iterator[lavoro.Lavoro]:
    app = lavoro.Lavoro(**place, warn_unhandled=False)
    yield app
    app.close_sync()


def run(awaitable: Any, timeout: float = 60) -> Any:
    """Runs this in a loop of its own, with a deadline."""
    return asyncio.run(asyncio.wait_for(awaitable, timeout))


async def until(condition: Any, timeout: float = 30) -> Any:
    """Waits until the condition, a function that may be async, is true; answers its value."""
    loop = asyncio.get_running_loop()
    deadline = loop.time() + timeout
    while True:
        value = condition()
        if asyncio.iscoroutine(value):
            value = await value
        if value:
            return value
        assert loop.time() < deadline, "the condition has not come true in time"
        await asyncio.sleep(0.02)
