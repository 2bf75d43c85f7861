"""Jobs in logs and traces."""

from __future__ import annotations

import logging
import subprocess
import sys
import textwrap
from typing import Any

import pytest
from conftest import run

import lavoro


def test_records_name_the_job(app: lavoro.Lavoro) -> None:
    lines: list[str] = []

    class Kept(logging.Handler):
        def emit(self, record: logging.LogRecord) -> None:
            lines.append(self.format(record))

    handler = Kept()
    handler.addFilter(lavoro.JobLogFilter())
    handler.setFormatter(logging.Formatter("%(job_task)s/%(job_attempt)s %(message)s"))
    logger = logging.getLogger("tests.telemetry")
    logger.addHandler(handler)

    @app.task
    async def loud() -> None:
        logger.error("on the loop")

    @app.task
    def loud_too() -> None:
        logger.error("in a thread")

    async def main() -> None:
        async with app.worker():
            await (await loud.enqueue()).result(10)
            await (await loud_too.enqueue()).result(10)
        logger.error("outside")

    try:
        run(main())
    finally:
        logger.removeHandler(handler)
    assert lines == ["loud/1 on the loop", "loud_too/1 in a thread", "None/None outside"]


def test_a_trace_goes_on_in_the_handler(place: dict[str, Any]) -> None:
    pytest.importorskip("opentelemetry.sdk")
    # In a program of its own: a provider of traces is set once per process.
    body = f"""
        import asyncio
        import lavoro
        from opentelemetry import trace
        from opentelemetry.sdk.trace import TracerProvider
        from opentelemetry.sdk.trace.export import SimpleSpanProcessor
        from opentelemetry.sdk.trace.export.in_memory_span_exporter import InMemorySpanExporter

        exporter = InMemorySpanExporter()
        provider = TracerProvider()
        provider.add_span_processor(SimpleSpanProcessor(exporter))
        trace.set_tracer_provider(provider)
        app = lavoro.Lavoro(**{place!r}, warn_unhandled=False)

        def ids():
            return trace.get_current_span().get_span_context().trace_id

        @app.task
        async def one(): return str(ids())

        @app.task
        def two(): return str(ids())

        async def main():
            async with app.worker():
                with trace.get_tracer("test").start_as_current_span("request"):
                    wanted = str(ids())
                    jobs = [await one.enqueue(), await two.options(priority=1).enqueue()]
                for job in jobs:
                    assert await job.result(10) == wanted

        asyncio.run(main())
        print(sorted(span.name for span in exporter.get_finished_spans()))
    """
    done = subprocess.run(
        [sys.executable, "-c", textwrap.dedent(body)], capture_output=True, text=True, timeout=60
    )
    assert done.stdout == "['process one', 'process two', 'request']\n", done.stderr
