"""Who is alive: a worker's row, its heartbeat, and the lock file by which neighbours on the same host judge.

The kernel frees a POSIX lock the moment its process dies, so a neighbour knows within milliseconds. It judges
only if it opens the very file that the worker's row names (device, inode) and reads the worker's nonce there:
a missing or another file says nothing (containers). Without a word from the lock, a heartbeat older than the
lease, by the database's clock, counts: but not on SQLite, where one long write transaction holds every
heartbeat up, and only for a judge who has itself been beating for a whole lease.
"""

from __future__ import annotations

import contextlib
import fcntl
import os
import socket
import time
import uuid
from dataclasses import dataclass

from tom_nightshift.conf import get_settings
from tom_nightshift.ledger import moves
from tom_nightshift.ledger.rundir import run_dir
from tom_nightshift.ledger.session import Sql


@dataclass(frozen=True, slots=True)
class Neighbour:
    """Another worker, as its row describes it."""

    name: str
    host: str
    lock_path: str
    lock_device: int
    lock_inode: int
    nonce: str
    silent: float
    """Seconds since its last heartbeat."""

    leaving: bool


HOST_LENGTH = 80

_my_nonces: set[str] = set()
"""Nonces of lock files that this process holds: to open one, and close it again, would free its lock."""

NEIGHBOUR = "name, host, lock_path, lock_device, lock_inode, nonce"


class Presence:
    """This process as a worker: holds the lock file for as long as the process lives."""

    def __init__(self, threads: int) -> None:
        self.threads = threads
        self.nonce = uuid.uuid4().hex
        _my_nonces.add(self.nonce)
        self.host = this_host()
        self.name = f"{self.host}:{os.getpid()}:{self.nonce[:8]}"
        self._steady_since = self._last_beat = time.monotonic()
        self._lock: int | None = None
        self._path = ""

    def register(self, sql: Sql, queues: list[str]) -> None:
        """Write this worker's row. Written again, because the answer was not heard, it is still one row."""
        device, inode = self._take_lock()
        sql.run(
            "INSERT INTO tom_nightshift_worker (name, host, pid, threads, queues, lock_path, lock_device, "
            "lock_inode, nonce, started_at, beat_at, leaving) "
            f"VALUES (%s, %s, %s, %s, %s, %s, %s, %s, %s, {sql.now}, {sql.now}, FALSE) "
            "ON CONFLICT (name) DO UPDATE SET beat_at = excluded.beat_at",
            [
                self.name,
                self.host,
                os.getpid(),
                self.threads,
                " ".join(queues),
                self._path,
                device,
                inode,
                self.nonce,
            ],
        )

    def beat(self, sql: Sql) -> bool:
        """Say that this worker is alive. False: others took it for dead and removed its row."""
        there = sql.run(f"UPDATE tom_nightshift_worker SET beat_at = {sql.now} WHERE name = %s", [self.name])
        if self._has_missed_a_beat():
            self._steady_since = time.monotonic()
        self._last_beat = time.monotonic()
        return bool(there)

    def may_judge_silence(self) -> bool:
        """Whether this worker has itself been beating for a whole lease. After an outage of the database all
        are silent: whoever comes back first must not take the others for dead.
        """
        return not self._has_missed_a_beat() and time.monotonic() - self._steady_since >= get_settings().lease

    def _has_missed_a_beat(self) -> bool:
        return time.monotonic() - self._last_beat > 2 * get_settings().heartbeat

    def leave(self, sql: Sql) -> None:
        """Say that this worker was told to end: what it still holds then is charged to nobody."""
        sql.run("UPDATE tom_nightshift_worker SET leaving = TRUE WHERE name = %s", [self.name])

    def sign_off(self, sql: Sql) -> bool:
        """Remove this worker's row, unless rows of jobs still name it: then others return those first.
        Whether it went.
        """
        if moves.held_by(sql, self.name):
            return False
        sql.run("DELETE FROM tom_nightshift_worker WHERE name = %s", [self.name])
        return True

    def release_lock(self) -> None:
        """Give the lock file up."""
        if self._lock is not None:
            with contextlib.suppress(OSError):
                os.unlink(self._path)
            os.close(self._lock)
            self._lock = None

    def _take_lock(self) -> tuple[int, int]:
        """(device, inode) of the lock file; (0, 0) where no file can be made: then only heartbeats count."""
        if self._lock is None:
            try:
                self._path = str(run_dir() / f"{self.name.replace('/', '_')}.lock")
                self._lock = os.open(self._path, os.O_RDWR | os.O_CREAT | os.O_EXCL | os.O_CLOEXEC, 0o600)
                os.write(self._lock, self.nonce.encode())
                fcntl.lockf(self._lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
            except OSError:
                self.release_lock()  # half a lock would tell the neighbours that this process is dead
                return 0, 0
        found = os.fstat(self._lock)
        return found.st_dev, found.st_ino


def this_host() -> str:
    """The name of this machine."""
    return socket.gethostname()[:HOST_LENGTH]


def neighbours(sql: Sql, but: str) -> list[Neighbour]:
    """All workers that have a row, but this one."""
    rows = sql.rows(
        f"SELECT {NEIGHBOUR}, {sql.age('beat_at')}, leaving "
        "FROM tom_nightshift_worker WHERE name <> %s ORDER BY id",
        [but],
    )
    return [
        Neighbour(name, host, path, device, inode, nonce, float(silent), bool(leaving))
        for name, host, path, device, inode, nonce, silent, leaving in rows
    ]


def is_dead(neighbour: Neighbour, vendor: str, *, by_silence: bool = True) -> bool:
    """Judge a neighbour: by its lock file if that can be read, else, where it may be, by its heartbeat."""
    by_lock = lock_says_alive(neighbour)
    if by_lock is not None:
        return not by_lock
    if not by_silence:
        return False
    if vendor == "sqlite" and neighbour.host == this_host():
        # A file that is gone, with its owner on this host: it cannot be told from a busy database any other
        # way than by a silence that no transaction lasts.
        return neighbour.silent > 10 * get_settings().lease
    return neighbour.silent > get_settings().lease


def lock_says_alive(neighbour: Neighbour) -> bool | None:
    """Whether a process holds the neighbour's lock; None where the file cannot say."""
    if neighbour.nonce in _my_nonces:
        return True
    try:
        lock = os.open(neighbour.lock_path, os.O_RDWR | os.O_CLOEXEC)
    except OSError:
        return None
    try:
        found = os.fstat(lock)
        if (found.st_dev, found.st_ino) != (neighbour.lock_device, neighbour.lock_inode):
            return None
        if os.read(lock, 100).decode("ascii", "replace") != neighbour.nonce:
            return None
        return not _can_lock(lock)
    finally:
        os.close(lock)


def anybody_alive(sql: Sql) -> bool:
    """Whether at least one worker is alive."""
    return any(not is_dead(neighbour, sql.vendor) for neighbour in neighbours(sql, but=""))


def _can_lock(lock: int) -> bool:
    try:
        fcntl.lockf(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except OSError:
        return False
    fcntl.lockf(lock, fcntl.LOCK_UN)
    return True
