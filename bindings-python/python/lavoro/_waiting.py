"""The two ways to wait for the native half: from a thread, and from an event loop.

Each event loop has one mailbox, whose file descriptor it watches: no threads come between, and
nothing native ever calls into Python.
"""

from __future__ import annotations

import asyncio
import os
import weakref
from collections.abc import Callable
from typing import Any, Optional

from . import _native

Answered = Callable[[Any, Optional[BaseException]], None]


class Post:
    """The mailbox of one event loop, and who waits for what."""

    def __init__(self, loop: asyncio.AbstractEventLoop) -> None:
        self._mailbox = _native.Mailbox()
        self._waiting: dict[int, Answered] = {}
        self._number = 0
        loop.add_reader(self._mailbox.fileno(), self._ring)

    def send(self, operation: _native.Operation, answered: Answered) -> int:
        """Begins an operation. ``answered`` is called on the loop, once."""
        self._number = number = self._number + 1
        self._waiting[number] = answered
        try:
            operation.send(self._mailbox, number)
        except BaseException:
            del self._waiting[number]
            raise
        return number

    def forget(self, number: int) -> None:
        """Nobody wants this answer any more. A lock in it is given back."""
        if self._waiting.pop(number, None) is not None:
            self._mailbox.forget(number)

    def _ring(self) -> None:
        for number, answer, error in self._mailbox.take():
            answered = self._waiting.pop(number, None)
            if answered is not None:
                answered(answer, error)


_posts: weakref.WeakKeyDictionary[asyncio.AbstractEventLoop, Post] = weakref.WeakKeyDictionary()


def post_of(loop: asyncio.AbstractEventLoop) -> Post:
    """The mailbox of a loop that runs in this thread."""
    post = _posts.get(loop)
    if post is None:
        post = _posts[loop] = Post(loop)
    return post


async def ask(operation: _native.Operation) -> Any:
    """Waits for an operation without holding the event loop up."""
    loop = asyncio.get_running_loop()
    post = post_of(loop)
    future: asyncio.Future[Any] = loop.create_future()

    def answered(answer: Any, error: Optional[BaseException]) -> None:
        if future.done():
            return
        if error is None:
            future.set_result(answer)
        else:
            future.set_exception(error)

    number = post.send(operation, answered)
    try:
        return await future
    finally:
        post.forget(number)


def _forked() -> None:
    # The loops of a forked process have none of the parent's mailboxes.
    global _posts
    _posts = weakref.WeakKeyDictionary()


os.register_at_fork(after_in_child=_forked)
