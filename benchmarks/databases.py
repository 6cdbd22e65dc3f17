"""The databases of the site under test: made new for each run from a migrated template, read with raw SQL."""

from __future__ import annotations

import os
import sqlite3
import time
from abc import ABC, abstractmethod
from collections.abc import Callable, Iterator, Sequence
from contextlib import closing, contextmanager
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

import psycopg

from benchmarks import machine
from tools import servers

SYNCHRONOUS = os.environ.get("BENCHMARK_SYNCHRONOUS", "NORMAL")
"""How SQLite treats the site's own commits. NORMAL is customary with a write-ahead log: a commit does not
wait for the disk. Django's default is FULL; then most of what is measured is the disk."""

EMPTY = "empty"
"""The template with tables, and somebody to ask for jobs."""

Rows = list[tuple[Any, ...]]
Fill = Callable[["Database"], None]


class Database(ABC):
    """One database of the site.

    Parameters:
        migrate: makes the tables in the database of this address.
    """

    name: str
    address: str

    def __init__(self, migrate: Callable[[str], None]) -> None:
        self._migrate = migrate
        self._templates: set[str] = set()

    def fresh(self, kind: str = EMPTY, fill: Fill | None = None) -> None:
        """Begin with a new database.

        Parameters:
            kind: name of the template that it is copied from, which is made when it is first asked for.
            fill: fills that template.
        """
        for wanted in dict.fromkeys((EMPTY, kind)):
            if wanted not in self._templates:
                self._make(wanted, fill if wanted == kind else None)
        self._drop()
        self._copy(kind)

    def _make(self, kind: str, fill: Fill | None) -> None:
        self._drop()
        if EMPTY in self._templates:
            self._copy(EMPTY)
        else:
            self._create()
            self._migrate(self.address)
        if fill:
            fill(self)
        self._keep(kind)
        self._templates.add(kind)

    @abstractmethod
    def rows(self, statement: str, params: Sequence[Any] = ()) -> Rows:
        """Run a statement of its own; what it returns, if anything."""

    @abstractmethod
    def server(self) -> list[int]:
        """The processes of its server."""

    @abstractmethod
    def described(self) -> str:
        """What it is, with its version and what bears on its speed."""

    @abstractmethod
    def _create(self) -> None: ...

    @abstractmethod
    def _drop(self) -> None: ...

    @abstractmethod
    def _keep(self, kind: str) -> None: ...

    @abstractmethod
    def _copy(self, kind: str) -> None: ...


class Sqlite(Database):
    """A file.

    Parameters:
        folder: holds it and its templates.
    """

    name = "sqlite"

    def __init__(self, folder: Path, migrate: Callable[[str], None]) -> None:
        super().__init__(migrate)
        self.file = folder / "site.sqlite3"
        self.address = f"sqlite://{self.file}#{SYNCHRONOUS}"

    def rows(self, statement: str, params: Sequence[Any] = ()) -> Rows:
        with closing(sqlite3.connect(self.file, timeout=60)) as connection, connection:
            return connection.execute(statement, params).fetchall()

    def server(self) -> list[int]:
        return []

    def described(self) -> str:
        return f"SQLite {sqlite3.sqlite_version} (write-ahead log, synchronous {SYNCHRONOUS})"

    def _create(self) -> None: ...

    def _drop(self) -> None:
        for ending in ("", "-wal", "-shm"):
            Path(f"{self.file}{ending}").unlink(missing_ok=True)

    def _keep(self, kind: str) -> None:
        self.rows("PRAGMA wal_checkpoint(TRUNCATE)")
        self.file.rename(self.file.with_suffix(f".{kind}"))

    def _copy(self, kind: str) -> None:
        with (
            closing(sqlite3.connect(self.file.with_suffix(f".{kind}"))) as source,
            closing(sqlite3.connect(self.file)) as copy,
        ):
            source.backup(copy)


class Postgres(Database):
    """A database on a server.

    Parameters:
        server: its address.
        prefix: what the databases are called.
    """

    name = "postgres"

    def __init__(
        self, server: str, migrate: Callable[[str], None], prefix: str = f"benchmark_{os.getpid()}"
    ) -> None:
        super().__init__(migrate)
        self._server, self._prefix = server, prefix
        self.address = urlsplit(server)._replace(path=f"/{prefix}").geturl()

    def rows(self, statement: str, params: Sequence[Any] = ()) -> Rows:
        return _ask(self.address, statement, params)

    def server(self) -> list[int]:
        with psycopg.connect(self._server) as connection:
            return machine.parents(connection.info.backend_pid, "postgres")

    def described(self) -> str:
        shown = {name: _ask(self._server, f"SHOW {name}")[0][0] for name in ("fsync", "synchronous_commit")}
        version = _ask(self._server, "SHOW server_version")[0][0].split()[0]
        return f"PostgreSQL {version} ({', '.join(f'{name} {value}' for name, value in shown.items())})"

    def end(self) -> None:
        """Remove all that was made."""
        self._drop()
        for kind in self._templates:
            _ask(self._server, f"DROP DATABASE IF EXISTS {self._prefix}_{kind} WITH (FORCE)")

    def _create(self) -> None:
        _ask(self._server, f"CREATE DATABASE {self._prefix}")

    def _drop(self) -> None:
        _ask(self._server, f"DROP DATABASE IF EXISTS {self._prefix} WITH (FORCE)")

    def _keep(self, kind: str) -> None:
        _ask(self.address, "VACUUM ANALYZE")
        _ask(self._server, f"DROP DATABASE IF EXISTS {self._prefix}_{kind} WITH (FORCE)")
        _ask(self._server, f"ALTER DATABASE {self._prefix} RENAME TO {self._prefix}_{kind}")

    def _copy(self, kind: str) -> None:
        # From 15 on it can copy files; else a million rows would go through the write-ahead log.
        by_files = " STRATEGY file_copy" if _version(self._server) >= 150_000 else ""
        _ask(self._server, f"CREATE DATABASE {self._prefix} TEMPLATE {self._prefix}_{kind}{by_files}")


@contextmanager
def opened(name: str, folder: Path, migrate: Callable[[str], None]) -> Iterator[Database]:
    """The database of this name; its server, if it is ours alone, ends with the block."""
    if name == "sqlite":
        yield Sqlite(folder, migrate)
        return
    # No options: it waits for the disk at every commit, as it does for a user.
    with servers.postgres(options=()) as server:
        _wait_until_open(server)
        database = Postgres(server, migrate)
        try:
            yield database
        finally:
            if servers.POSTGRES in os.environ:  # else the server ends with all that is in it
                database.end()


def _wait_until_open(server: str, patience: float = 30.0) -> None:
    """One that has just been started answers for a moment that it is not ready yet."""
    deadline = time.monotonic() + patience
    while True:
        try:
            psycopg.connect(server).close()
            return
        except psycopg.OperationalError:
            if time.monotonic() > deadline:
                raise
            time.sleep(0.1)


def _version(server: str) -> int:
    with psycopg.connect(server) as connection:
        return connection.info.server_version


def _ask(address: str, statement: str, params: Sequence[Any] = ()) -> Rows:
    with psycopg.connect(address, autocommit=True) as connection:
        cursor = connection.execute(statement, params or None)
        return cursor.fetchall() if cursor.description else []
