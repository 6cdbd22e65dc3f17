"""The folder for lock files and doorbells: private, and named by the database that holds the jobs."""

from __future__ import annotations

import hashlib
import os
import stat
import tempfile
from functools import lru_cache
from pathlib import Path
from typing import Any

from django.db import connections

from tom_nightshift.conf import get_settings
from tom_nightshift.ledger.session import jobs_alias


def folder() -> Path:
    """Where it is, or will be."""
    return Path(place())


def place() -> str:
    """Where it is, or will be, for who is in a hurry: nothing is looked at."""
    return str(get_settings().run_dir or _default())


def run_dir() -> Path:
    """The folder, made if it is not there.

    Raises:
        OSError: it cannot be made, or it belongs to somebody else.
    """
    there = folder()
    try:
        found = there.stat()
    except FileNotFoundError:
        there.mkdir(mode=0o700, parents=True, exist_ok=True)
        found = there.stat()
    if found.st_uid != os.geteuid() or found.st_mode & (stat.S_IWGRP | stat.S_IWOTH):
        raise PermissionError(
            f"{there} can be written by others: remove it, or name another in NIGHTSHIFT['RUN_DIR']."
        )
    return there


def _default() -> str:
    # The user is part of the name: another user's folder of the same name must not stand in the way.
    return f"{tempfile.gettempdir()}/nightshift-{os.geteuid()}-{_database_name()}"


def _database_name() -> str:
    connection = connections[jobs_alias()]
    wanted: dict[str, Any] = connection.settings_dict
    words = (str(wanted.get("NAME")), str(wanted.get("HOST") or ""), str(wanted.get("PORT") or ""))
    return _hashed(connection.vendor, *words)


@lru_cache(maxsize=16)
def _hashed(vendor: str, name: str, host: str, port: str) -> str:
    if vendor == "sqlite" and not name.startswith("file:"):
        name = os.path.realpath(name)
    return hashlib.sha256("|".join([name, host, port]).encode()).hexdigest()[:16]
