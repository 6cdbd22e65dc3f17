"""The run directory: lock files, by which workers of one host know of each other's death, and doorbells."""

from __future__ import annotations

import fcntl
import os
import socket
import stat
import uuid
from collections.abc import Iterator
from pathlib import Path

from tom_nightshift.doctor.findings import Finding, fault, fine, warning
from tom_nightshift.ledger import bell, rundir

LONGEST_PATH = 107
"""Bytes of the path of a Unix socket (Linux; macOS has four less)."""

LONGEST_BELL = len(f"/4194304-{'f' * 8}{bell.SUFFIX}")

ELSEWHERE = "Name another folder in NIGHTSHIFT['RUN_DIR']."


def can_be_used() -> Iterator[Finding]:
    """The folder is there, ours, private, and sockets and locks can be made in it."""
    folder = rundir.folder()
    found = list(_faults(folder) if folder.exists() else _not_yet(folder))
    yield from found
    yield from _too_long(folder)
    if not found and folder.exists():
        yield fine(f"{folder} takes locks and sockets.")


def _not_yet(folder: Path) -> Iterator[Finding]:
    nearest = next(parent for parent in folder.parents if parent.exists())
    if os.access(nearest, os.W_OK | os.X_OK):
        yield fine(f"{folder} is made when the first worker starts.")
    else:
        yield fault(
            "run-directory-missing", f"{folder} is not there, and cannot be made in {nearest}.", ELSEWHERE
        )


def _faults(folder: Path) -> Iterator[Finding]:
    found = folder.stat()
    if not stat.S_ISDIR(found.st_mode):
        yield fault("run-directory-not-a-folder", f"{folder} is not a folder.", ELSEWHERE)
    elif found.st_uid != os.geteuid():
        yield fault(
            "run-directory-not-ours",
            f"{folder} belongs to user {found.st_uid}, and this is user {os.geteuid()}.",
            f"Run web server, worker and doctor as one user, or remove it. {ELSEWHERE}",
        )
    elif found.st_mode & (stat.S_IWGRP | stat.S_IWOTH):
        yield fault(
            "run-directory-not-private",
            f"{folder} can be written by others.",
            f"Run chmod 700 {folder}.",
        )
    else:
        yield from _refused(folder)


def _refused(folder: Path) -> Iterator[Finding]:
    try:
        _try_lock(folder / f"doctor-{uuid.uuid4().hex[:8]}")
    except OSError as error:
        yield fault("run-directory-no-locks", f"no lock file can be made in {folder}: {error}.", ELSEWHERE)
        return
    try:
        _try_socket(folder / f"d-{uuid.uuid4().hex[:4]}")
    except OSError as error:
        yield warning(
            "run-directory-no-sockets",
            f"no socket can be made in {folder} ({error}): jobs begin up to a second late.",
            ELSEWHERE,
        )


def _too_long(folder: Path) -> Iterator[Finding]:
    length = len(os.fsencode(folder)) + LONGEST_BELL
    if length > LONGEST_PATH:
        yield warning(
            "run-directory-path-long",
            f"the path of a doorbell in {folder} has up to {length} bytes, and a socket takes "
            f"{LONGEST_PATH}: jobs begin up to a second late.",
            "Name a shorter one in NIGHTSHIFT['RUN_DIR'].",
        )


def _try_lock(path: Path) -> None:
    lock = os.open(path, os.O_RDWR | os.O_CREAT | os.O_EXCL | os.O_CLOEXEC, 0o600)
    try:
        fcntl.lockf(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
    finally:
        os.unlink(path)
        os.close(lock)


def _try_socket(path: Path) -> None:
    with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as tried:
        tried.bind(str(path))
        os.unlink(path)
