"""One statement on the caller's own connection, in whatever transaction is open there.

Nothing is imported: a driver is there if a connection of it is. Nothing is committed or rolled
back either: that is the caller's.
"""

from __future__ import annotations

import re
import sys
from collections.abc import Sequence
from typing import Any, NoReturn, Optional

from .errors import _CLASSES, InvalidOptionError, LavoroError, _of_code

Parameters = Sequence[Optional[str]]

KNOWN = (
    "connections of psycopg, psycopg2, asyncpg and Django, and connections and sessions of SQLAlchemy"
)

# Who waits: (package, class) of a class that the connection derives from.
_SYNC = {
    ("psycopg", "Connection"): "psycopg",
    ("psycopg", "Cursor"): "cursor",
    ("psycopg2", "connection"): "psycopg2",
    ("psycopg2", "cursor"): "cursor",
    ("sqlalchemy", "Connection"): "sqlalchemy",
    ("sqlalchemy", "Session"): "sqlalchemy",
    ("sqlalchemy", "scoped_session"): "sqlalchemy",
    ("django", "BaseDatabaseWrapper"): "django",
    ("django", "ConnectionProxy"): "django",
}
_ASYNC = {
    ("psycopg", "AsyncConnection"): "psycopg",
    ("psycopg", "AsyncCursor"): "cursor",
    ("asyncpg", "Connection"): "asyncpg",
    ("asyncpg", "PoolConnectionProxy"): "asyncpg",
    ("sqlalchemy", "AsyncConnection"): "sqlalchemy",
    ("sqlalchemy", "AsyncSession"): "sqlalchemy",
    ("sqlalchemy", "async_scoped_session"): "sqlalchemy",
}
_PLACE = re.compile(r"\$(\d+)")

# The SQLSTATEs of docs/limits.md that the functions raise.
_CODES = {
    "LV001": "invalid_task",
    "LV002": "invalid_queue",
    "LV003": "invalid_payload",
    "LV004": "payload_too_large",
    "LV005": "payload_too_deep",
    "LV006": "number_out_of_range",
    "LV007": "invalid_time",
    "LV008": "invalid_option",
    "LV010": "invalid_unique_key",
    "LV011": "unique_pending",
    "LV012": "job_not_found",
    "LV013": "invalid_state",
    "LV014": "stale_lease",
    "LV032": "lock_lost",
}


def _driver(connection: Any, known: dict[tuple[str, str], str]) -> Optional[str]:
    for each in type(connection).__mro__:
        found = known.get((each.__module__.partition(".")[0], each.__name__))
        if found is not None:
            return found
    return None


def _refuse(connection: Any, other: dict[tuple[str, str], str], instead: str) -> NoReturn:
    kind = type(connection)
    shown = f"connection is a {kind.__module__}.{kind.__qualname__}"
    if _driver(connection, other) is not None:
        raise InvalidOptionError(f"{shown}: {instead}")
    if "Pool" in kind.__name__ or "Engine" in kind.__name__ or kind.__name__ == "sessionmaker":
        raise InvalidOptionError(f"{shown}, which has no transaction: take a connection out of it")
    raise InvalidOptionError(f"{shown}: it takes {KNOWN}")


def run_sync(connection: Any, text: str, parameters: Parameters) -> Any:
    """Sends a statement with ``$1`` …; answers its first row.

    Raises:
        InvalidOptionError: The connection is of no driver that is known, or needs ``await``.
        LavoroError: What Lavoro's functions raised. Roll back.
        Exception: What else the driver says.
    """
    driver = _driver(connection, _SYNC)
    if driver is None:
        _refuse(connection, _ASYNC, "await enqueue() or complete(), not their _sync twins")
    try:
        if driver == "sqlalchemy":
            return connection.execute(*_for_sqlalchemy(text, parameters)).first()
        if driver == "django":
            _check_vendor(connection)
            cursor = connection.cursor()
        else:
            cursor = _cursor(driver, connection)
        with cursor:
            cursor.execute(*_for_dbapi(text, parameters))
            return cursor.fetchone()
    except LavoroError:
        raise
    except Exception as error:
        raise_translated(error)


async def run(connection: Any, text: str, parameters: Parameters) -> Any:
    """As run_sync(), for drivers that are awaited."""
    driver = _driver(connection, _ASYNC)
    if driver is None:
        _refuse(connection, _SYNC, "it holds up the event loop; use enqueue_sync(), complete_sync()")
    try:
        if driver == "sqlalchemy":
            return (await connection.execute(*_for_sqlalchemy(text, parameters))).first()
        if driver == "asyncpg":
            return await connection.fetchrow(text, *parameters)
        if driver == "cursor":
            connection = connection.connection
        psycopg = sys.modules["psycopg"]
        rows = sys.modules["psycopg.rows"].tuple_row
        async with psycopg.AsyncCursor(connection, row_factory=rows) as cursor:
            await cursor.execute(*_for_dbapi(text, parameters))
            return await cursor.fetchone()
    except Exception as error:
        raise_translated(error)


def _cursor(driver: str, connection: Any) -> Any:
    """A plain cursor, whatever kind the application has made its default."""
    if driver == "cursor":
        connection = connection.connection
        driver = _driver(connection, _SYNC) or driver
    if driver == "psycopg2":
        extensions = sys.modules["psycopg2.extensions"]
        return connection.cursor(cursor_factory=extensions.cursor)
    return sys.modules["psycopg"].Cursor(
        connection, row_factory=sys.modules["psycopg.rows"].tuple_row
    )


def _check_vendor(connection: Any) -> None:
    if connection.vendor != "postgresql":
        raise InvalidOptionError(f"connection is one of {connection.vendor}: it takes PostgreSQL")


def _for_dbapi(text: str, parameters: Parameters) -> tuple[str, dict[str, Optional[str]]]:
    named = {f"p{place}": value for place, value in enumerate(parameters, 1)}
    return _PLACE.sub(r"%(p\1)s", text.replace("%", "%%")), named


def _for_sqlalchemy(text: str, parameters: Parameters) -> tuple[Any, dict[str, Optional[str]]]:
    named = {f"p{place}": value for place, value in enumerate(parameters, 1)}
    escaped = text.replace(":", "\\:")
    return sys.modules["sqlalchemy"].text(_PLACE.sub(r":p\1", escaped)), named


def raise_translated(error: Exception) -> NoReturn:
    """Raises what a driver raised: as the exception of Lavoro's code if it is one of Lavoro's."""
    cause: Any = error
    for _ in range(5):
        state = getattr(cause, "sqlstate", None) or getattr(cause, "pgcode", None)
        code = _CODES.get(state) if isinstance(state, str) else None
        if code is not None and code in _CLASSES:
            raise _of_code(code, _message(cause)) from error
        cause = getattr(cause, "orig", None) or cause.__cause__
        if cause is None:
            break
    raise error


def _message(error: Any) -> str:
    said = getattr(getattr(error, "diag", None), "message_primary", None)
    return said or str(error).strip().splitlines()[0]
