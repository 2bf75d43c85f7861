"""Named locks."""

from __future__ import annotations

from typing import TYPE_CHECKING, Optional

from . import _native
from ._spans import Span, milliseconds
from ._waiting import ask
from .errors import InvalidStateError, TimeoutError

if TYPE_CHECKING:
    from .app import Lavoro

__all__ = ["Lock", "LockMaker"]


class Lock:
    """A lock that is held. Threads of Lavoro's own extend it, whatever the application's threads
    do, until it is released, lost, or nothing refers to it any more. Usable from any thread.

    A lease cannot stop a process that was frozen from acting later, when another has the lock:
    pass ``fencing_token`` on to what is written, and let that refuse a smaller one.
    """

    __slots__ = ("_native",)

    def __init__(self, native: _native.Lock) -> None:
        self._native = native

    @property
    def name(self) -> str:
        """The lock's name."""
        return self._native.name

    @property
    def owner(self) -> str:
        """What its holder is called."""
        return self._native.owner

    @property
    def fencing_token(self) -> int:
        """A number that rises with each grant of this name."""
        return self._native.fencing_token

    @property
    def held(self) -> bool:
        """Whether it is held as far as this process knows. Asks nobody."""
        return self._native.held

    @property
    def remaining(self) -> float:
        """For how many seconds the database keeps it at least, if it is not extended."""
        return self._native.remaining

    @property
    def loss(self) -> Optional[str]:
        """Why it is lost: ``lost_contact``, ``lost`` or ``closed``. None: it is not."""
        return self._native.loss

    async def extend(self, span: Span) -> None:
        """Lets it live at least so long from now on.

        Raises:
            LockLostError: It is not held any more.
        """
        await ask(self._native.extend(milliseconds("span", span)))

    def extend_sync(self, span: Span) -> None:
        """As extend()."""
        self._native.extend(milliseconds("span", span)).wait()

    async def lost(self) -> str:
        """Waits until it is lost, and says why. Never for one that was released."""
        return str(await ask(self._native.lost()))

    async def release(self) -> bool:
        """Releases it. Answers whether it was still held."""
        return bool(await ask(self._native.release()))

    def release_sync(self) -> bool:
        """As release()."""
        return bool(self._native.release().wait())

    def serialise(self) -> str:
        """The lock as text, for restore in another process. Whoever has it can release it.

        Raises:
            LockLostError: It is not held any more.
        """
        return self._native.serialise()


class LockMaker:
    """How to take a lock; made by ``app.lock()``. For ``with`` and ``async with``, which raise
    TimeoutError if it is not free in time."""

    __slots__ = ("_app", "_held", "_lifetime", "_name", "_owner", "_wait")

    def __init__(
        self,
        app: Lavoro,
        name: str,
        lifetime: Optional[Span],
        wait: Optional[Span],
        owner: Optional[str],
    ) -> None:
        self._app = app
        self._name = name
        self._lifetime = None if lifetime is None else milliseconds("lifetime", lifetime)
        self._wait = 30_000 if wait is None else milliseconds("wait", wait)
        self._owner = owner
        self._held: list[Lock] = []

    def _begin(self, client: _native.Client, wait: Optional[int]) -> _native.Operation:
        return client.lock(self._name, self._lifetime, wait, self._owner)

    async def acquire(self) -> Lock:
        """Takes the lock; while another holds it, waits in line.

        Raises:
            TimeoutError: It was not free in time.
        """
        return Lock(await ask(self._begin(await self._app.connect(), self._wait)))

    def acquire_sync(self) -> Lock:
        """As acquire()."""
        return Lock(self._begin(self._app.connect_sync(), self._wait).wait())

    async def try_acquire(self) -> Optional[Lock]:
        """Takes the lock if it is free and nobody waits for it; else None, at once."""
        native = await ask(self._begin(await self._app.connect(), None))
        return None if native is None else Lock(native)

    def try_acquire_sync(self) -> Optional[Lock]:
        """As try_acquire()."""
        native = self._begin(self._app.connect_sync(), None).wait()
        return None if native is None else Lock(native)

    async def __aenter__(self) -> Lock:
        lock = await (self.acquire() if self._wait else self._once())
        self._held.append(lock)
        return lock

    async def _once(self) -> Lock:
        return self._or_late(await self.try_acquire())

    def _or_late(self, lock: Optional[Lock]) -> Lock:
        if lock is None:
            raise TimeoutError(f"the lock {self._name!r} is held by another")
        return lock

    async def __aexit__(self, *_: object) -> None:
        await self._last().release()

    def __enter__(self) -> Lock:
        lock = self.acquire_sync() if self._wait else self._or_late(self.try_acquire_sync())
        self._held.append(lock)
        return lock

    def __exit__(self, *_: object) -> None:
        self._last().release_sync()

    def _last(self) -> Lock:
        if not self._held:
            raise InvalidStateError(f"the lock {self._name!r} was not entered")
        return self._held.pop()
