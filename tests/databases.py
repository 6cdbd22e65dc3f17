"""Which database the tests run on, chosen by NIGHTSHIFT_TEST_DB and never by what happens to be running."""

from __future__ import annotations

import atexit
import os
import shutil
import tempfile
from pathlib import Path
from typing import Any
from urllib.parse import unquote, urlsplit

from django.core.exceptions import ImproperlyConfigured

CHOICE = "NIGHTSHIFT_TEST_DB"
SERVER = "NIGHTSHIFT_TEST_POSTGRES"
CARRIER = "NIGHTSHIFT_TEST_CARRIER"
"""The address of what carries the jobs; without it, the database does."""

NAME = "NIGHTSHIFT_TEST_DB_NAME"
"""Set by the test run once its database is made, so that a process started by a test finds the same one."""


SCRATCH = "NIGHTSHIFT_TEST_SCRATCH"
"""Set as soon as the folder is there, so that those processes also read and write the same files."""

DISK = "NIGHTSHIFT_TEST_DISK"
"""Set to ``real`` where that folder is to lie on a disk, whose writes take their time, as a site's do."""

MEMORY = Path("/dev/shm")
ROOM = 256 * 1024 * 1024
"""Bytes that must be free there: Docker gives 64 MB unless it is asked for more."""


def scratch_folder() -> Path:
    """A folder of this process and of those that it starts, gone when it ends."""
    if inherited := os.environ.get(SCRATCH):
        return Path(inherited)
    folder = Path(tempfile.mkdtemp(prefix="nightshift-tests-", dir=_in_memory()))
    os.environ[SCRATCH] = str(folder)
    atexit.register(_remove, folder, os.getpid())
    return folder


def _in_memory() -> Path | None:
    """A memory disk: each commit waits for a real one, which is most of what a test of a few jobs takes."""
    wanted = os.environ.get(DISK) != "real" and os.access(MEMORY, os.W_OK)
    return MEMORY if wanted and shutil.disk_usage(MEMORY).free > ROOM else None


def _remove(folder: Path, owner: int) -> None:
    if os.getpid() == owner:  # and not a process that it forked
        shutil.rmtree(folder, ignore_errors=True)


def chosen_database(folder: Path) -> dict[str, Any]:
    """The entry for DATABASES."""
    makers = {"sqlite": _sqlite, "postgres": _postgres}
    choice = os.environ.get(CHOICE, "sqlite")
    if choice not in makers:
        raise ImproperlyConfigured(f"{CHOICE}={choice!r}: choose one of {', '.join(makers)}.")
    return makers[choice](folder)


def _sqlite(folder: Path) -> dict[str, Any]:
    # A file, also for the tests: real threads and real processes must share it.
    return {
        "ENGINE": "django.db.backends.sqlite3",
        "NAME": os.environ.get(NAME) or folder / "nightshift.sqlite3",
        "TEST": {"NAME": folder / "test.sqlite3"},
    }


def _postgres(folder: Path) -> dict[str, Any]:
    address = os.environ.get(SERVER)
    if not address:
        raise ImproperlyConfigured(f"{CHOICE}=postgres needs {SERVER}=postgres://user:password@host/database")
    server = urlsplit(address)
    return {
        "ENGINE": "django.db.backends.postgresql",
        "NAME": os.environ.get(NAME) or server.path.lstrip("/") or "postgres",
        "USER": unquote(server.username or ""),
        "PASSWORD": unquote(server.password or ""),
        "HOST": server.hostname or "",
        "PORT": str(server.port or ""),
        "TEST": {"NAME": f"test_nightshift_{os.getpid()}"},  # several legs may share one server
    }
