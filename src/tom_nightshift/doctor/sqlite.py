"""SQLite under a site: its write-ahead log, a local disk with room on it, and a lock that is not kept."""

from __future__ import annotations

import os
import shutil
from collections.abc import Iterator
from pathlib import Path

from django.db import OperationalError

from tom_nightshift import events
from tom_nightshift.conf import get_settings
from tom_nightshift.doctor.findings import Finding, fault, fine, warning
from tom_nightshift.ledger.session import Sql

MOUNTS = Path("/proc/self/mounts")

NETWORK = {
    "9p", "afs", "beegfs", "ceph", "cifs", "drvfs", "fuse.gcsfuse", "fuse.glusterfs", "fuse.rclone",
    "fuse.s3fs", "fuse.sshfs", "glusterfs", "gpfs", "lustre", "nfs", "nfs4", "smb3", "smbfs", "vboxsf",
}  # fmt: skip
"""Kinds of file systems on which locks, or memory shared between processes, cannot be relied on."""

MIB = 1024 * 1024
FULL = 100 * MIB
NEARLY_FULL = 1024 * MIB
LONG_LOG = 512 * MIB

POSTGRES = "Move the database to PostgreSQL."


def is_in_wal(sql: Sql) -> Iterator[Finding]:
    """The file is in write-ahead mode, and our set-up of connections is on."""
    if sql.vendor != "sqlite":
        return
    if sql.connection.is_in_memory_db():
        yield fault(
            "sqlite-in-memory",
            "the database is in this process's memory: no worker can see it.",
            "Name a file in DATABASES.",
        )
        return
    mode = sql.rows("PRAGMA journal_mode")[0][0]
    if mode != "wal":
        yield warning(
            "sqlite-not-in-wal",
            f"the file is in {mode} mode: pages and workers lock one another out.",
            "Leave SQLITE_SETUP on and restart web server and workers: they switch it when nobody writes.",
        )
    if not get_settings().sqlite_setup and sql.connection.transaction_mode != "IMMEDIATE":
        yield warning(
            "sqlite-setup-off",
            "SQLITE_SETUP is off and transaction_mode is not IMMEDIATE: 'database is locked' comes at once.",
            "Take SQLITE_SETUP out of NIGHTSHIFT, or set OPTIONS['transaction_mode'] to 'IMMEDIATE'.",
        )
    elif mode == "wal":
        yield fine("the file is in write-ahead mode.")


def is_on_a_local_disk(sql: Sql) -> Iterator[Finding]:
    """The file is not on a network file system."""
    if sql.vendor != "sqlite" or sql.connection.is_in_memory_db() or not MOUNTS.exists():
        return
    path = _file(sql)
    kind = _kind_of_file_system(path, MOUNTS.read_text(errors="replace"))
    if kind in NETWORK:
        yield fault(
            "sqlite-on-network",
            f"{path} is on a network file system ({kind}): SQLite's locks do not hold there, rows are lost.",
            f"Move it to a local disk. {POSTGRES}",
        )
    else:
        yield fine(f"{path} is on a local file system ({kind}).")


def has_room(sql: Sql) -> Iterator[Finding]:
    """There is room for the file and for its log."""
    if sql.vendor != "sqlite" or sql.connection.is_in_memory_db():
        return
    path = _file(sql)
    free = shutil.disk_usage(path.parent).free
    words = f"{free // MIB:,} MiB are free on the disk of {path}"
    if free < FULL:
        yield fault("disk-full", f"{words}: writes fail soon.", "Make room.")
    elif free < NEARLY_FULL:
        yield warning("disk-nearly-full", f"{words}.", "Make room.")
    else:
        yield fine(f"{words}.")
    log = Path(f"{path}-wal")
    if log.exists() and log.stat().st_size > LONG_LOG:
        yield warning(
            "sqlite-log-long",
            f"{log} has {log.stat().st_size // MIB:,} MiB: something has been reading for a long time.",
            "Restart the web server, and end shells and tools that have the file open.",
        )


def can_be_written(sql: Sql) -> Iterator[Finding]:
    """The write lock is to be had; it is given back at once."""
    if sql.vendor != "sqlite":
        return
    ((version,),) = sql.rows("PRAGMA user_version")
    try:
        sql.run("BEGIN IMMEDIATE")  # a file that may only be read takes this
        sql.run(f"PRAGMA user_version = {version}")
        sql.run("ROLLBACK")
    except OperationalError as error:
        yield _refused(error, _file(sql))
        return
    yield fine("the write lock is free.")


def _refused(error: OperationalError, path: Path) -> Finding:
    if "locked" in str(error):
        return warning(
            "sqlite-locked",
            "somebody has been holding the write lock of the database for two seconds.",
            "If it stays: a job or page holds a transaction over slow work. The workers' log says who waits.",
        )
    return fault(
        "sqlite-not-writable",
        f"{path} cannot be written: {events.first_line(error)}.",
        f"Give this user write rights on the file and on its folder {path.parent}.",
    )


def _file(sql: Sql) -> Path:
    return Path(os.path.realpath(sql.rows("PRAGMA database_list")[0][2]))


def _kind_of_file_system(path: Path, mounts: str) -> str:
    """By the table of mounts: the last of those that lie on the way to the file, and deepest."""
    kind, deepest = "unknown", -1
    for line in mounts.splitlines():
        _, place, its_kind, *_ = line.split(" ")
        place = place.encode().decode("unicode_escape")  # a space is written \040
        if path.is_relative_to(place) and len(place) >= deepest:
            kind, deepest = its_kind, len(place)
    return kind
