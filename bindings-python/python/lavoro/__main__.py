"""``python -m lavoro``: workers, and what else a project needs of Lavoro at hand."""

from __future__ import annotations

import argparse
import importlib
import json
import logging
import os
import sys
from collections.abc import Sequence
from typing import Any, Optional

from .app import Lavoro
from .errors import LavoroError

# What it exits with, beside what run_worker answers.
DONE, FAILED, USAGE = 0, 1, 2


def main(arguments: Optional[Sequence[str]] = None) -> int:
    """Runs a command; answers its exit code."""
    options = _parser().parse_args(arguments)
    level = os.environ.get("LAVORO_LOG", "INFO").upper()
    if level in ("DEBUG", "INFO", "WARNING", "ERROR"):
        logging.basicConfig(level=level)
    try:
        return int(options.run(options))
    except LavoroError as error:
        print(f"lavoro: {error.code}: {error}", file=sys.stderr)
        return FAILED
    except KeyboardInterrupt:
        return 130


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(
        prog="python -m lavoro",
        description="Lavoro, a job queue on PostgreSQL.",
        epilog="exit codes: 0 done; 1 failed, or handlers did not end in time; 2 wrong usage; "
        "3 the worker was stuck",
    )
    commands = parser.add_subparsers(required=True, metavar="COMMAND")

    worker = commands.add_parser("worker", help="run the jobs of an application")
    worker.add_argument("app", help="where it is: module:name, for example app:app")
    worker.add_argument(
        "-q", "--queue", action="append", default=[], metavar="NAME[=N]",
        help="serve this queue, N jobs at once (default: 10)",
    )  # fmt: skip
    worker.add_argument("-c", "--concurrency", type=int, help="jobs at once over all queues")
    worker.add_argument("--name", help="its name in listings")
    worker.add_argument("--listen", metavar="ADDRESS", help="answer /health and /metrics here")
    worker.add_argument(
        "--shutdown-timeout", default="30", metavar="SPAN",
        help='how long to wait for handlers when it stops: seconds or words (default: "30")',
    )  # fmt: skip
    worker.add_argument("--reload", action="store_true", help="start again when a file changes")
    worker.set_defaults(run=_worker)

    enqueue = commands.add_parser("enqueue", help="enqueue a job, and print its number")
    enqueue.add_argument("task")
    enqueue.add_argument("payload", nargs="?", default="{}", help="JSON (default: {})")
    for name in ("queue", "delay", "at", "unique-key"):
        enqueue.add_argument(f"--{name}")
    for name in ("priority", "max-attempts"):
        enqueue.add_argument(f"--{name}", type=int)
    _database(enqueue)
    enqueue.set_defaults(run=_enqueue)

    migrate = commands.add_parser("migrate", help="create or upgrade the schema")
    _database(migrate)
    migrate.set_defaults(run=_migrate)

    dev = commands.add_parser("dev", help="run a private PostgreSQL in .lavoro/ until Ctrl-C")
    dev.set_defaults(run=_dev)
    return parser


def _database(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("--database-url", metavar="URL", help="default: the environment's")
    parser.add_argument("--schema")
    parser.add_argument("--json", action="store_true", help="answer JSON")


def _worker(options: argparse.Namespace) -> int:
    if options.reload:
        from ._reload import run_again_on_change

        return run_again_on_change([word for word in sys.argv[1:] if word != "--reload"])
    app = find_app(options.app)
    known: dict[str, Any] = {"name": options.name, "listen": options.listen}
    known["concurrency"] = options.concurrency
    if options.queue:
        known["queues"] = dict(_queue(queue) for queue in options.queue)
    given = {key: value for key, value in known.items() if value is not None}
    return app.run_worker(shutdown_timeout=_span(options.shutdown_timeout), **given)


def _queue(text: str) -> tuple[str, int]:
    name, equals, number = text.rpartition("=")
    if not equals:
        return text, 10
    try:
        return name, int(number)
    except ValueError:
        raise SystemExit(_usage(f"--queue is {text!r}: it takes NAME or NAME=N")) from None


def _span(text: str) -> Any:
    try:
        return float(text)
    except ValueError:
        return text


def _usage(message: str) -> int:
    print(f"lavoro: {message}", file=sys.stderr)
    return USAGE


def find_app(place: str) -> Lavoro:
    """The application at ``module:name``; the current directory is looked through as well.

    Raises:
        SystemExit: There is none, with code 2.
    """
    module_name, _, name = place.partition(":")
    if "" not in sys.path and os.getcwd() not in sys.path:
        sys.path.insert(0, os.getcwd())
    try:
        found: Any = importlib.import_module(module_name)
    except ModuleNotFoundError as error:
        if error.name != module_name.split(".")[0] and error.name != module_name:
            raise
        raise SystemExit(_usage(f"there is no module {module_name!r}")) from None
    for part in (name or "app").split("."):
        found = getattr(found, part, None)
    if not isinstance(found, Lavoro):
        raise SystemExit(_usage(f"{place!r} is no lavoro.Lavoro: name it as module:name"))
    return found


def _enqueue(options: argparse.Namespace) -> int:
    try:
        payload = json.loads(options.payload)
    except ValueError as error:
        return _usage(f"the payload is no JSON: {error}")
    given = {
        "queue": options.queue,
        "delay": None if options.delay is None else _span(options.delay),
        "run_at": options.at,
        "unique_key": options.unique_key,
        "priority": options.priority,
        "max_attempts": options.max_attempts,
    }
    with Lavoro(options.database_url, schema=options.schema) as app:
        job = app.enqueue_sync(options.task, payload, **given)
    shown = {"id": str(job.id), "created": job.is_new}
    print(json.dumps(shown) if options.json else job.id)
    return DONE


def _migrate(options: argparse.Namespace) -> int:
    applied = Lavoro(options.database_url, schema=options.schema).migrate_sync()
    if options.json:
        print(json.dumps({"applied": applied}))
    else:
        print(f"applied {len(applied)} migrations" if applied else "the schema is up to date")
    return DONE


def _dev(_: argparse.Namespace) -> int:
    import signal

    with Lavoro("embedded:") as app:
        print(app.url, flush=True)
        signal.sigwait({signal.SIGINT, signal.SIGTERM})
    return DONE


if __name__ == "__main__":
    sys.exit(main())
