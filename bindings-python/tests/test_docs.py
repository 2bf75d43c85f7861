"""Every block of docs/python.md runs, in its order."""

from __future__ import annotations

import ast
import inspect
import re
import shlex
import sys
from pathlib import Path
from typing import Any

import pytest
from conftest import run

import lavoro
from lavoro.__main__ import _parser

pytest_plugins = ["pytester"]

PAGE = Path(__file__).parents[2] / "docs" / "python.md"
BLOCKS = re.findall(r"^```(\w+)\n(.*?)^```", PAGE.read_text(), re.DOTALL | re.MULTILINE)
PYTHON = [block for language, block in BLOCKS if language == "python"]
FILES = {block[2:].split("\n")[0]: block for block in PYTHON if re.match(r"# \w+\.py\n", block)}


@pytest.fixture
def project(tmp_path: Path, place: dict[str, Any], monkeypatch: pytest.MonkeyPatch) -> Any:
    for name, text in FILES.items():
        (tmp_path / name).write_text(text)
    monkeypatch.syspath_prepend(str(tmp_path))
    monkeypatch.setenv("LAVORO_DATABASE_URL", place["url"])
    monkeypatch.setenv("LAVORO_SCHEMA", place["schema"])
    import shop

    shop.app.migrate_sync()
    yield tmp_path
    shop.app.close_sync()
    del sys.modules["shop"]


def test_the_blocks_run(project: Path) -> None:
    import shop

    names: dict[str, Any] = {"app": shop.app, "__name__": "page"}

    async def main() -> None:
        async with shop.app.worker(queues={"default": 10, "mail": 10}):
            for number, block in enumerate(PYTHON):
                if block not in FILES.values():
                    flags = ast.PyCF_ALLOW_TOP_LEVEL_AWAIT
                    code = compile(block, f"block {number} of python.md", "exec", flags)
                    done = eval(code, names)
                    if inspect.iscoroutine(done):
                        await done

    pytest.importorskip("psycopg")
    pytest.importorskip("asyncpg")
    run(main(), 120)


def test_its_tests_pass(pytester: pytest.Pytester) -> None:
    pytester.makepyfile(**{name[:-3]: text for name, text in FILES.items()})
    pytester.makeini("[pytest]\npythonpath = .\nlavoro_app = shop:app\n")
    from test_testing import entry_points

    named = any(each.value == "lavoro._pytest" for each in entry_points())
    plugin = [] if named else ["-p", "lavoro._pytest"]
    pytester.runpytest_subprocess(*plugin).assert_outcomes(passed=2)


def test_its_commands_are_understood() -> None:
    text = "\n".join(block for language, block in BLOCKS if language == "console")
    lines = re.findall(r"^\$ python -m lavoro (.*)$", text, re.MULTILINE)
    assert len(lines) >= 2
    for line in lines:
        _parser().parse_args(shlex.split(line))


def test_the_names_it_lists_exist() -> None:
    text = PAGE.read_text().split("## The interface in short")[1].split("## Moving")[0]
    kinds = {name: getattr(lavoro, name) for name in ("Lavoro", "Task", "JobHandle", "Job")}
    for name, listed in re.findall(r"^\| `(\w+)` \| (.*) \|$", text, re.MULTILINE):
        if name in kinds:
            for attribute in re.findall(r"`(\w+)(?:\(…\))?`", listed):
                known = hasattr(kinds[name], attribute) or attribute in (kinds[name].__doc__ or "")
                assert known, f"{name}.{attribute}"
