"""What README shows does what it says."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path
from typing import Any

import lavoro

EXAMPLES = Path(__file__).parent.parent / "examples"


def test_the_quickstart_greets(place: dict[str, Any]) -> None:
    lavoro.Lavoro(**place).migrate_sync()
    env = {**os.environ, "LAVORO_DATABASE_URL": place["url"], "LAVORO_SCHEMA": place["schema"]}
    command = [sys.executable, str(EXAMPLES / "quickstart.py")]
    ended = subprocess.run(command, env=env, capture_output=True, text=True, timeout=60)
    assert (ended.returncode, ended.stdout) == (0, "Hello, Ada!\n"), ended.stderr
