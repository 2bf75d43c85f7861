"""Everyday use, checked by mypy --strict: run `python -m lavoro worker app:app` beside it."""

from __future__ import annotations

import asyncio
from typing import Any

import lavoro

app = lavoro.Lavoro()


@app.task(queue="mail", max_attempts=5, backoff=lavoro.Backoff("exponential", base=1, max="1h"))
async def send_email(to: str, subject: str, urgent: bool = False) -> str:
    """A handler on the event loop."""
    job = lavoro.current_job()
    job.progress(50, f"writing to {to}")
    if job.attempt == 1 and urgent:
        raise lavoro.Retry("the server is busy", delay="10 seconds")
    return f"sent {subject!r} to {to}"


@app.task
def resize(job: lavoro.Job, path: str, width: int) -> int:
    """A handler in a thread, which is given its job."""
    for _ in range(width):
        job.check()  # raises if it should stop
    return width


@app.every("five minutes")
@app.task
def tidy() -> None:
    """A handler that a schedule runs."""
    with app.lock("tidy", wait=0) as lock:
        print("fencing token", lock.fencing_token)


@app.middleware
async def timed(job: lavoro.Job, call_next: Any) -> Any:
    """Goes around every handler."""
    begun = asyncio.get_running_loop().time()
    try:
        return await call_next()
    finally:
        print(job.task, "took", asyncio.get_running_loop().time() - begun)


async def main() -> None:
    """A producer."""
    job = await send_email.enqueue("ada@example.org", subject="Hello")
    said: str = await job.result(timeout="1 minute")
    print(said)
    later = await resize.options(delay="1 hour", tags=["image"]).enqueue("a.png", width=100)
    print(await later.state())
    await app.enqueue("task_in_another_language", {"any": "JSON"}, queue="other")


if __name__ == "__main__":
    asyncio.run(main())
