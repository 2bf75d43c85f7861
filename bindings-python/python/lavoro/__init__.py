"""Lavoro: a job queue on PostgreSQL for applications in several languages.

::

    import lavoro

    app = lavoro.Lavoro()

    @app.task(queue="mail", max_attempts=5)
    async def send_email(to: str, subject: str) -> str: ...

    job = await send_email.enqueue(to="ada@example.org", subject="Hello")
    print(await job.result(timeout=30))

Workers are started with ``python -m lavoro worker module:app``.
"""

from . import errors
from ._native import VERSION as __version__
from ._options import Backoff, JobOptions
from .app import Lavoro
from .errors import LavoroError
from .handle import JobFailedError, JobHandle
from .job import Job, JobCancelled, Slot, current_job
from .lock import Lock, LockMaker
from .outcomes import Cancel, Fail, Retry, Snooze
from .schedule import ScheduleOptions
from .task import BoundTask, Task
from .telemetry import JobLogFilter
from .worker import Worker, WorkerOptions

__all__ = [
    "Backoff",
    "BoundTask",
    "Cancel",
    "Fail",
    "Job",
    "JobCancelled",
    "JobFailedError",
    "JobHandle",
    "JobLogFilter",
    "JobOptions",
    "Lavoro",
    "LavoroError",
    "Lock",
    "LockMaker",
    "Retry",
    "ScheduleOptions",
    "Slot",
    "Snooze",
    "Task",
    "Worker",
    "WorkerOptions",
    "__version__",
    "current_job",
    "errors",
]
