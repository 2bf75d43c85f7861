"""Exceptions. There is one class for each stable code; see docs/limits.md."""

from __future__ import annotations

import builtins

__all__ = [
    "LavoroError",
    "AuthenticationFailedError",
    "ClosedError",
    "ConnectionFailedError",
    "DatabaseError",
    "DatabaseMissingError",
    "DuplicateHandlerError",
    "EmbeddedFailedError",
    "EmbeddedInProductionError",
    "InternalError",
    "InvalidOptionError",
    "InvalidPayloadError",
    "InvalidQueueError",
    "InvalidScheduleError",
    "InvalidStateError",
    "InvalidTaskError",
    "InvalidTimeError",
    "InvalidUniqueKeyError",
    "InvalidUrlError",
    "JobNotFoundError",
    "LockLostError",
    "NumberOutOfRangeError",
    "PayloadTooDeepError",
    "PayloadTooLargeError",
    "PermissionDeniedError",
    "PostgresNotFoundError",
    "ReadOnlyError",
    "ScheduleExistsError",
    "ScheduleNotFoundError",
    "SchemaMissingError",
    "SchemaNewerError",
    "SchemaOutdatedError",
    "StaleLeaseError",
    "TimeoutError",
    "UniquePendingError",
    "UnsupportedServerError",
]


class LavoroError(Exception):
    """Whatever goes wrong in Lavoro. Raised as the subclass of its code.

    Attributes:
        code: The stable code, the same in every language: ``"payload_too_large"``.
        transient: Whether the same call may succeed if it is made again.
        message: What happened, which limit it met and what to do.
    """

    code: str = "internal"
    transient: bool = False

    def __init__(self, message: str = "") -> None:
        super().__init__(message)
        self.message = message


class InvalidTaskError(LavoroError):
    """A task name is empty, too long or holds control characters."""

    code = "invalid_task"


class InvalidQueueError(LavoroError):
    """A queue name is empty, too long or holds control characters."""

    code = "invalid_queue"


class InvalidPayloadError(LavoroError):
    """A payload is not valid JSON, holds a NUL character, or is not valid UTF-8."""

    code = "invalid_payload"


class PayloadTooLargeError(LavoroError):
    """A payload is larger than the limit."""

    code = "payload_too_large"


class PayloadTooDeepError(LavoroError):
    """A payload is nested deeper than the limit."""

    code = "payload_too_deep"


class NumberOutOfRangeError(LavoroError):
    """A number in a payload cannot be represented alike in every language."""

    code = "number_out_of_range"


class InvalidTimeError(LavoroError):
    """A delay is negative or too long, or `run_at` lies outside the supported years."""

    code = "invalid_time"


class InvalidOptionError(LavoroError):
    """An option of a job, client or worker is out of its range."""

    code = "invalid_option"


class InvalidUrlError(LavoroError):
    """A database URL cannot be understood."""

    code = "invalid_url"


class InvalidUniqueKeyError(LavoroError):
    """A unique key is empty, too long or holds control characters."""

    code = "invalid_unique_key"


class UniquePendingError(LavoroError):
    """Another transaction holds the same unique key and has not ended yet."""

    code = "unique_pending"


class JobNotFoundError(LavoroError):
    """No job has this id."""

    code = "job_not_found"


class InvalidStateError(LavoroError):
    """The job is not in a state that allows this."""

    code = "invalid_state"


class StaleLeaseError(LavoroError):
    """The lease is no longer the job's current one: the outcome was refused."""

    code = "stale_lease"


class DuplicateHandlerError(LavoroError):
    """One process registered two handlers for one task."""

    code = "duplicate_handler"


class ConnectionFailedError(LavoroError, ConnectionError):
    """The database cannot be reached."""

    code = "connection_failed"


class AuthenticationFailedError(LavoroError):
    """The database refused the user or password."""

    code = "authentication_failed"


class DatabaseMissingError(LavoroError):
    """The named database does not exist."""

    code = "database_missing"


class SchemaMissingError(LavoroError):
    """Lavoro's schema does not exist in this database."""

    code = "schema_missing"


class SchemaOutdatedError(LavoroError):
    """Lavoro's schema is older than this program needs."""

    code = "schema_outdated"


class SchemaNewerError(LavoroError):
    """Lavoro's schema is newer than this program knows."""

    code = "schema_newer"


class ReadOnlyError(LavoroError):
    """The server is read-only (a standby, or set so)."""

    code = "read_only"


class PermissionDeniedError(LavoroError):
    """The database role lacks a privilege."""

    code = "permission_denied"


class UnsupportedServerError(LavoroError):
    """The server is not a supported version of PostgreSQL."""

    code = "unsupported_server"


class TimeoutError(LavoroError, builtins.TimeoutError):
    """Something took longer than its limit."""

    code = "timeout"


class ClosedError(LavoroError):
    """The client or worker has been closed."""

    code = "closed"


class PostgresNotFoundError(LavoroError):
    """No PostgreSQL binaries were found for an embedded server."""

    code = "postgres_not_found"


class EmbeddedFailedError(LavoroError):
    """An embedded server could not be started."""

    code = "embedded_failed"


class EmbeddedInProductionError(LavoroError):
    """No database is named where `LAVORO_ENV` or `NODE_ENV` is `production`: an embedded one is
    not started there by itself."""

    code = "embedded_in_production"


class DatabaseError(LavoroError):
    """The database reported an error that has no kind of its own."""

    code = "database"


class InternalError(LavoroError):
    """A defect in Lavoro. Please report it."""

    code = "internal"


class LockLostError(LavoroError):
    """A lock is not held any more: it has expired, or was released."""

    code = "lock_lost"


class InvalidScheduleError(LavoroError):
    """A schedule cannot be understood, never comes true, or has an option out of its range."""

    code = "invalid_schedule"


class ScheduleNotFoundError(LavoroError):
    """No schedule has this name."""

    code = "schedule_not_found"


class ScheduleExistsError(LavoroError):
    """A schedule of this name exists already."""

    code = "schedule_exists"


_CLASSES: dict[str, type[LavoroError]] = {each.code: each for each in LavoroError.__subclasses__()}


def _of_code(code: str, message: str, transient: bool = False) -> LavoroError:
    """The exception of a code: what the native half raises."""
    made = _CLASSES.get(code, LavoroError)(message)
    made.transient = transient
    return made
