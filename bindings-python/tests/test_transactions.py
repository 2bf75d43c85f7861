"""Jobs in the caller's own transaction, through each driver as it comes from PyPI."""

from __future__ import annotations

import contextlib
import re
from collections.abc import AsyncIterator, Callable, Iterator
from contextlib import asynccontextmanager, contextmanager
from pathlib import Path
from typing import Any

import pytest
from conftest import QUICK, run, until

import lavoro
from lavoro._drivers import _CODES
from lavoro.errors import InvalidOptionError, InvalidPayloadError, StaleLeaseError

Sync = Callable[[str], "contextlib.AbstractContextManager[Any]"]
Async = Callable[[str], "contextlib.AbstractAsyncContextManager[Any]"]


class Undo(Exception):
    """Rolls a transaction back."""


# Each opens a transaction, answers what an application has in its hands, and commits unless
# something is raised.


@contextmanager
def psycopg(url: str) -> Iterator[Any]:
    driver = pytest.importorskip("psycopg")
    with driver.connect(url, row_factory=driver.rows.dict_row) as connection:
        yield connection
    connection.close()


@contextmanager
def psycopg_cursor(url: str) -> Iterator[Any]:
    driver = pytest.importorskip("psycopg")
    with driver.connect(url, cursor_factory=driver.RawCursor) as connection:
        with connection.transaction(), driver.Cursor(connection) as cursor:
            yield cursor


@contextmanager
def psycopg2(url: str) -> Iterator[Any]:
    driver = pytest.importorskip("psycopg2")
    extras = pytest.importorskip("psycopg2.extras")
    connection = driver.connect(url, cursor_factory=extras.RealDictCursor)
    with contextlib.closing(connection), connection:
        yield connection


@contextmanager
def psycopg2_cursor(url: str) -> Iterator[Any]:
    driver = pytest.importorskip("psycopg2")
    connection = driver.connect(url)
    with contextlib.closing(connection), connection, connection.cursor() as cursor:
        yield cursor


def parts_of(url: str) -> dict[str, str]:
    """The URL as keywords of libpq: SQLAlchemy and Django know no socket as host of a URL."""
    read = pytest.importorskip("psycopg").conninfo.conninfo_to_dict(url)
    return {key: str(value) for key, value in read.items()}


def _url(url: str, driver: str) -> Any:
    pytest.importorskip(driver)
    parts = parts_of(url)
    return pytest.importorskip("sqlalchemy").URL.create(
        f"postgresql+{driver}",
        username=parts["user"],
        password=parts.get("password"),
        database=parts["dbname"],
        query={"host": parts["host"], "port": parts["port"]},
    )


def _engine(url: str, driver: str) -> Any:
    return pytest.importorskip("sqlalchemy").create_engine(_url(url, driver))


@contextmanager
def core_psycopg2(url: str) -> Iterator[Any]:
    engine = _engine(url, "psycopg2")
    with engine.begin() as connection:
        yield connection
    engine.dispose()


@contextmanager
def core_psycopg(url: str) -> Iterator[Any]:
    engine = _engine(url, "psycopg")
    try:
        with engine.begin() as connection:
            yield connection
    finally:
        engine.dispose()


@contextmanager
def orm(url: str) -> Iterator[Any]:
    engine = _engine(url, "psycopg")
    session = pytest.importorskip("sqlalchemy.orm").Session
    try:
        with session(engine) as opened, opened.begin():
            yield opened
    finally:
        engine.dispose()


@contextmanager
def orm_scoped(url: str) -> Iterator[Any]:
    engine = _engine(url, "psycopg2")
    of = pytest.importorskip("sqlalchemy.orm")
    scoped = of.scoped_session(of.sessionmaker(engine))
    try:
        with scoped.begin():
            yield scoped
    finally:
        scoped.remove()
        engine.dispose()


@contextmanager
def django(url: str) -> Iterator[Any]:
    setup = pytest.importorskip("django").setup
    from django.conf import settings
    from django.db import transaction
    from django.utils.connection import ConnectionProxy

    if not settings.configured:
        settings.configure(USE_TZ=True)
        setup()
    from django.db.utils import ConnectionHandler

    parts = parts_of(url)
    handler = ConnectionHandler(
        {
            "default": {
                "ENGINE": "django.db.backends.postgresql",
                "NAME": parts.get("dbname", ""),
                "USER": parts.get("user", ""),
                "PASSWORD": parts.get("password", ""),
                "HOST": parts.get("host", ""),
                "PORT": parts.get("port", ""),
            }
        }
    )
    proxy = ConnectionProxy(handler, "default")
    saved = transaction.get_connection
    transaction.get_connection = lambda using=None: handler["default"]
    try:
        with transaction.atomic():
            yield proxy
    finally:
        transaction.get_connection = saved
        handler["default"].close()


@asynccontextmanager
async def psycopg_async(url: str) -> AsyncIterator[Any]:
    driver = pytest.importorskip("psycopg")
    async with await driver.AsyncConnection.connect(url) as connection:
        yield connection


@asynccontextmanager
async def psycopg_async_cursor(url: str) -> AsyncIterator[Any]:
    async with psycopg_async(url) as connection, connection.cursor() as cursor:
        yield cursor


@asynccontextmanager
async def asyncpg(url: str) -> AsyncIterator[Any]:
    connection = await pytest.importorskip("asyncpg").connect(url)
    try:
        async with connection.transaction():
            yield connection
    finally:
        await connection.close()


@asynccontextmanager
async def asyncpg_pool(url: str) -> AsyncIterator[Any]:
    async with pytest.importorskip("asyncpg").create_pool(url, min_size=1, max_size=1) as pool:
        async with pool.acquire() as connection, connection.transaction():
            yield connection


@asynccontextmanager
async def core_async(url: str) -> AsyncIterator[Any]:
    of = pytest.importorskip("sqlalchemy.ext.asyncio")
    engine = of.create_async_engine(_url(url, "asyncpg"))
    try:
        async with engine.begin() as connection:
            yield connection
    finally:
        await engine.dispose()


@asynccontextmanager
async def orm_async(url: str) -> AsyncIterator[Any]:
    of = pytest.importorskip("sqlalchemy.ext.asyncio")
    engine = of.create_async_engine(_url(url, "psycopg"))
    try:
        async with of.AsyncSession(engine) as session, session.begin():
            yield session
    finally:
        await engine.dispose()


SYNC = [
    psycopg,
    psycopg_cursor,
    psycopg2,
    psycopg2_cursor,
    core_psycopg2,
    core_psycopg,
    orm,
    orm_scoped,
    django,
]
ASYNC = [psycopg_async, psycopg_async_cursor, asyncpg, asyncpg_pool, core_async, orm_async]
WAYS = [pytest.param(each, id=each.__name__) for each in [*SYNC, *ASYNC]]


@asynccontextmanager
async def transaction(way: Any, url: str) -> AsyncIterator[Any]:
    if way in ASYNC:
        async with way(url) as connection:
            yield connection
    else:
        with way(url) as connection:
            yield connection


@pytest.fixture
def add(app: lavoro.Lavoro) -> Any:
    @app.task(queue="sums")
    def add(a: int, b: str) -> Any:
        return [a, b]

    return add


@pytest.mark.parametrize("way", WAYS)
def test_a_job_exists_if_the_transaction_commits(app: lavoro.Lavoro, add: Any, way: Any) -> None:
    said = "100 % of :this, $1 and \\ 'that'"

    async def enqueue(connection: Any) -> Any:
        bound = add.options(connection=connection, unique_key="one")
        if way in ASYNC:
            return await bound.enqueue(1, b=said)
        return bound.enqueue_sync(1, b=said)

    async def main() -> None:
        with pytest.raises(Undo):
            async with transaction(way, app.url) as connection:
                lost = await enqueue(connection)
                assert lost.is_new
                raise Undo
        with pytest.raises(lavoro.errors.JobNotFoundError):
            await lost.info()
        async with transaction(way, app.url) as connection:
            job = await enqueue(connection)
            again = await enqueue(connection)
            assert (job.is_new, again.is_new, again.id) == (True, False, job.id)
            # Its other transaction has not ended yet.
            with pytest.raises(lavoro.errors.JobNotFoundError):
                await job.info()
        info = await job.info()
        assert (info["queue"], info["payload"]) == ("sums", {"a": 1, "b": said})
        async with app.worker(queues={"sums": 10}):
            assert await job.result(20) == [1, said]

    if way is django:
        # Django lets nobody use it under an event loop.
        _without_loop(app, add, said)
    else:
        run(main())


def _without_loop(app: lavoro.Lavoro, add: Any, said: str) -> None:
    with pytest.raises(Undo), django(app.url) as connection:
        lost = add.options(connection=connection).enqueue_sync(1, b=said)
        raise Undo
    with pytest.raises(lavoro.errors.JobNotFoundError):
        lost.info_sync()
    with django(app.url) as connection:
        job = add.options(connection=connection).enqueue_sync(1, b=said)
        named = app.enqueue_sync("add", {"a": 2}, connection=connection, priority=3)
    assert job.info_sync()["payload"] == {"a": 1, "b": said}
    assert named.info_sync()["priority"] == 3


@pytest.mark.parametrize("way", WAYS)
def test_a_job_completes_with_its_effects_or_not_at_all(
    app: lavoro.Lavoro, way: Any
) -> None:
    said: list[Any] = []

    @app.task
    def follow() -> None: ...

    async def work(how: str) -> str:
        job = lavoro.current_job()
        async with transaction(way, app.url) as connection:
            bound = follow.options(connection=connection)
            if way in ASYNC:
                await bound.enqueue()
                await job.complete({"n": 1}, connection=connection)
            else:
                bound.enqueue_sync()
                job.complete_sync({"n": 1}, connection=connection)
            if how == "undo":
                raise lavoro.Fail("undone")
        try:
            async with transaction(way, app.url) as connection:
                if way in ASYNC:
                    await follow.options(connection=connection).enqueue()
                    await job.complete(connection=connection)
                else:
                    follow.options(connection=connection).enqueue_sync()
                    job.complete_sync(connection=connection)
        except StaleLeaseError as error:
            said.append(error)
        return "this changes nothing"

    if way is django:

        @app.task(name="work")
        def work_in_thread(how: str) -> Any:
            # A thread of its own has no event loop, which is what Django wants.
            coroutine = work(how)
            try:
                coroutine.send(None)
            except StopIteration as done:
                return done.value

    else:
        app.task(name="work")(work)

    async def main() -> None:
        async with app.worker(queues={"default": 1}, timing=QUICK) as worker:
            assert worker.id
            done = await app.enqueue("work", {"how": "commit"})
            assert await done.result(20) == {"n": 1}
            await until(lambda: said)
            undone = await app.enqueue("work", {"how": "undo"}, max_attempts=1)
            with pytest.raises(lavoro.JobFailedError, match="undone"):
                await undone.result(20)
        # One by the commit; those of the stale and of the undone transaction never were.
        assert await app.jobs.count(task="follow") == 1
        assert said[0].code == "stale_lease"

    run(main())


def test_a_connection_of_the_wrong_kind_is_refused(app: lavoro.Lavoro, add: Any) -> None:
    driver = pytest.importorskip("psycopg")
    sqlalchemy = pytest.importorskip("sqlalchemy")

    async def main() -> None:
        with psycopg(app.url) as connection:
            with pytest.raises(InvalidOptionError, match="holds up the event loop"):
                await add.options(connection=connection).enqueue(1, "a")
            assert connection.info.transaction_status == driver.pq.TransactionStatus.IDLE
        async with psycopg_async(app.url) as connection:
            with pytest.raises(InvalidOptionError, match="await enqueue"):
                add.options(connection=connection).enqueue_sync(1, "a")
        engine = sqlalchemy.create_engine("postgresql+psycopg://")
        with pytest.raises(InvalidOptionError, match="take a connection out of it"):
            add.options(connection=engine).enqueue_sync(1, "a")
        with pytest.raises(InvalidOptionError, match="connection is a builtins.int: it takes"):
            await app.enqueue("add", connection=1)

    run(main())


def test_a_refusal_costs_no_transaction(app: lavoro.Lavoro, add: Any) -> None:
    driver = pytest.importorskip("psycopg")
    with psycopg(app.url) as connection:
        with pytest.raises(InvalidPayloadError, match="a is a str"):
            add.options(connection=connection).enqueue_sync("1", "a")
        with pytest.raises(lavoro.LavoroError) as large:
            add.options(connection=connection).enqueue_sync(1, "a" * 2_000_000)
        assert large.value.code == "payload_too_large"
        assert connection.info.transaction_status == driver.pq.TransactionStatus.IDLE


def test_errors_of_the_database_pass_as_they_are(app: lavoro.Lavoro, add: Any) -> None:
    driver = pytest.importorskip("psycopg")
    with pytest.raises(driver.errors.InFailedSqlTransaction), psycopg(app.url) as connection:
        with pytest.raises(driver.errors.UndefinedTable):
            connection.execute("select from nowhere")
        add.options(connection=connection).enqueue_sync(1, "a")


def test_the_codes_are_those_of_the_documents() -> None:
    limits = Path(__file__).parents[2] / "docs" / "limits.md"
    listed = dict(re.findall(r"\| `(\w+)` \| (LV\d+) \|", limits.read_text()))
    assert {state: code for code, state in listed.items() if state in _CODES} == _CODES
