"""The pytest plugin, found by its entry point.

Name the application in the configuration of pytest, and ask for ``lavoro_kit``::

    [tool.pytest.ini_options]
    lavoro_app = "shop.tasks:app"

    def test_signing_up_sends_a_mail(lavoro_kit):
        sign_up("ada@example.org")
        lavoro_kit.assert_enqueued_sync("send_email", payload={"to": "ada@example.org"})
        assert lavoro_kit.drain_sync().completed == 1
"""

from __future__ import annotations

import importlib
import itertools
import os
from collections.abc import Iterator
from typing import TYPE_CHECKING

import pytest

if TYPE_CHECKING:
    from .app import Lavoro
    from .testing import Kit

_numbers = itertools.count(1)


def pytest_addoption(parser: pytest.Parser) -> None:
    """Declares what the configuration may say."""
    parser.addini("lavoro_app", "the application under test, as module:attribute")
    parser.addini("lavoro_url", "the database for tests; default: LAVORO_TEST_URL, else memory:")


@pytest.fixture(scope="session")
def lavoro_url(pytestconfig: pytest.Config) -> Iterator[str]:
    """The URL of the database that all tests of a run share: a throw-away PostgreSQL, unless
    ``lavoro_url`` of the configuration or ``LAVORO_TEST_URL`` names one."""
    from .app import Lavoro

    url = pytestconfig.getini("lavoro_url") or os.environ.get("LAVORO_TEST_URL") or "memory:"
    with Lavoro(url, migrate=url == "memory:") as server:
        yield server.url


@pytest.fixture
def lavoro_app(pytestconfig: pytest.Config) -> Lavoro:
    """The application that ``lavoro_app`` of the configuration names. Override it to make one."""
    from .app import Lavoro

    named = pytestconfig.getini("lavoro_app")
    module, _, attribute = named.partition(":")
    if not module or not attribute:
        raise pytest.UsageError(
            "lavoro_kit needs an application: set lavoro_app = module:attribute in the "
            "configuration of pytest, or override the fixture lavoro_app"
        )
    app = getattr(importlib.import_module(module), attribute)
    if not isinstance(app, Lavoro):
        raise pytest.UsageError(f"lavoro_app = {named}: it is no lavoro.Lavoro")
    return app


@pytest.fixture
def lavoro_kit(lavoro_app: Lavoro, lavoro_url: str) -> Iterator[Kit]:
    """A testing kit for the application, which uses a schema of the test's own meanwhile."""
    from .testing import Kit, redirected

    schema = f"lavoro_test_{os.getpid()}_{next(_numbers)}"
    with redirected(lavoro_app, lavoro_url, schema):
        yield Kit(lavoro_app)
