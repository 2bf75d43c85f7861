"""Starting a worker again when a file of the project changes, for development."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import time
from collections.abc import Sequence
from pathlib import Path

# How often the files are looked at. Seconds.
_LOOK = 0.5
_SKIPPED = {"__pycache__", "node_modules", "venv", "target", "site-packages"}


def run_again_on_change(arguments: Sequence[str]) -> int:
    """Runs ``python -m lavoro`` with these arguments, and again whenever a Python file below the
    current directory has changed. Ends when the worker is told to."""
    ended = False

    def end(*_: object) -> None:
        nonlocal ended
        ended = True

    signal.signal(signal.SIGTERM, end)
    signal.signal(signal.SIGINT, end)
    while True:
        seen = _files()
        child = subprocess.Popen([sys.executable, "-m", "lavoro", *arguments])
        while not ended and _files() == seen:
            time.sleep(_LOOK)
        if child.poll() is None:
            child.send_signal(signal.SIGTERM)
        code = child.wait()
        if ended:
            return code
        print("lavoro: a file has changed: the worker starts again", file=sys.stderr)


def _files() -> dict[str, int]:
    """The Python files of the project, and when each was changed last."""
    found = {}
    for folder, folders, names in os.walk("."):
        folders[:] = [each for each in folders if each[0] != "." and each not in _SKIPPED]
        for name in names:
            if name.endswith(".py"):
                path = Path(folder, name)
                try:
                    found[str(path)] = path.stat().st_mtime_ns
                except OSError:
                    continue  # it has just been removed
    return found
