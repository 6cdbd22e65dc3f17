"""SIGHUP: the supervisor starts anew, with the code as it is now, in the same process.

Its workers stay its children: they take no more jobs, and end when those that they have in hand have ended.
"""

from __future__ import annotations

import os
import subprocess
import sys
from collections.abc import Iterable

from tom_nightshift import events

BEFORE = "NIGHTSHIFT_PROCESSES_BEFORE"
"""Environment variable that carries their process ids."""

CHECK_WITHIN = 120.0


def inherited() -> set[int]:
    """The worker processes that were there before this supervisor started anew."""
    return {int(pid) for pid in os.environ.pop(BEFORE, "").split()}


def start_anew(workers: Iterable[int]) -> None:
    """Replace this process by its own command, unless the new code does not even load; then say so and go on.

    Parameters:
        workers: process ids of its workers.
    """
    problem = _problem()
    if problem:
        events.reload_refused(problem)
        return
    events.reloading()
    sys.stdout.flush()
    os.environ[BEFORE] = " ".join(str(pid) for pid in sorted(workers))
    os.execv(sys.executable, [sys.executable, *sys.orig_argv[1:]])  # noqa: S606 - our own command line


def _problem() -> str:
    """What ``manage.py check`` has against the code as it is now; empty: nothing."""
    command = [sys.executable, "-m", "django", "check"]
    try:
        done = subprocess.run(  # noqa: S603 - our own interpreter
            command, capture_output=True, text=True, timeout=CHECK_WITHIN, check=False, env=_environment()
        )
    except (OSError, subprocess.TimeoutExpired) as error:
        return events.first_line(error)
    last = done.stderr.strip().splitlines()[-1:] or [f"exit code {done.returncode}"]
    return "" if done.returncode == 0 else last[0]


def _environment() -> dict[str, str]:
    """With the folders from which this process imports, ``manage.py``'s own among them."""
    return {**os.environ, "PYTHONPATH": os.pathsep.join(one or os.getcwd() for one in sys.path)}
