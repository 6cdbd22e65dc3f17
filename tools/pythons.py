"""Where this machine keeps a given version of Python: the one that runs us, PATH, pyenv."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

SUPPORTED = ("3.11", "3.12", "3.13")


def find(version: str) -> Path | None:
    """The interpreter of that version ("3.12"), or None when there is none that runs."""
    return next((place for place in _places(version) if _runs(place, version)), None)


def find_any(preferred: str | None = None) -> Path | None:
    """The preferred version if it is here, else the Python that runs us, else any that is supported."""
    ours = f"{sys.version_info.major}.{sys.version_info.minor}"
    versions = [preferred, *([ours] if ours in SUPPORTED else []), *reversed(SUPPORTED)]
    found = (find(version) for version in versions if version)
    return next((place for place in found if place), None)


def _places(version: str) -> Iterator[Path]:
    yield Path(sys.executable)
    for name in (f"python{version}", "python3"):
        if on_path := shutil.which(name):
            yield Path(on_path)
    pyenv = Path(os.environ.get("PYENV_ROOT") or Path.home() / ".pyenv")
    yield from sorted(pyenv.glob(f"versions/{version}.*/bin/python{version}"), reverse=True)


def _runs(place: Path, version: str) -> bool:
    """Ask it: a pyenv shim is on PATH for versions that are not switched on, and then only complains."""
    question = [str(place), "-c", "import sys; print('%d.%d' % sys.version_info[:2])"]
    try:
        answer = subprocess.run(question, capture_output=True, text=True, timeout=30, check=False)
    except (OSError, subprocess.TimeoutExpired):
        return False
    return answer.stdout.strip() == version
