"""Connections to the database that holds the jobs, and transactions on them.

Nightshift's own threads use connections of their own, so that nothing a task does to *its* connection can
touch them. Callers (a view, a shell) use the connection they already have: the row then commits or vanishes
with their data.
"""

from __future__ import annotations

import contextlib
import copy
import uuid
from collections.abc import Callable, Collection, Iterator, Sequence
from contextlib import contextmanager
from functools import cache, lru_cache
from typing import Any, TypeVar

from django.apps import apps
from django.db import (
    DatabaseError,
    InterfaceError,
    OperationalError,
    ProgrammingError,
    connections,
    router,
    transaction,
)
from django.db.models import Model

from tom_nightshift.conf import get_settings
from tom_nightshift.ledger import clock, driver

AWAY = (DatabaseError, InterfaceError)
"""What a database that is away, or a lock that is taken, raises; also one whose tables are not there yet."""

UNREACHABLE = (OperationalError, InterfaceError, ProgrammingError)
"""Those of ``AWAY`` that no value in a statement brings about: tried again later, it may well succeed."""

LOCK_TIMEOUT = 0.5
"""Seconds that a connection without patience waits for a row that another transaction holds (PostgreSQL)."""

Found = TypeVar("Found")

BEGIN = {"sqlite": "BEGIN IMMEDIATE"}


def jobs_alias() -> str:
    """The alias of the database that holds the jobs."""
    return router.db_for_write(_job_model())


@cache
def _job_model() -> type[Model]:
    return apps.get_model("tom_nightshift", "Job")


class Sql:
    """Statements on one open transaction."""

    def __init__(self, connection: Any) -> None:
        self.connection = connection
        self.vendor: str = connection.vendor
        self.now = clock.now_sql(self.vendor)
        self.once = clock.once_sql(self.vendor)
        self.epoch = clock.epoch_sql(self.vendor)
        self.afterwards: list[Callable[[], object]] = []
        """To be done once the transaction is committed, and not if it never is."""

    def after(self, seconds: float) -> str:
        """SQL for so many seconds from now."""
        return clock.now_sql(self.vendor, seconds)

    def age(self, column: str) -> str:
        """SQL for the age of a column in seconds."""
        return clock.age_sql(self.vendor, column)

    def shifted(self, column: str, seconds: float) -> str:
        """SQL for so many seconds after a stored time."""
        return clock.shifted_sql(self.vendor, column, seconds)

    def rows(self, statement: str, params: Sequence[Any] = ()) -> list[tuple[Any, ...]]:
        """Run a statement that returns rows."""
        return self._run(statement, params, _rows)

    def run(self, statement: str, params: Sequence[Any] = ()) -> int:
        """Run a statement; the number of rows it changed."""
        return self._run(statement, params, _count)

    def new_id(self, statement: str, params: Sequence[Any] = ()) -> int | None:
        """Insert one row; its id, or None if it was not inserted."""
        if self.vendor == "sqlite":
            # With RETURNING it keeps a copy of every page that it changes, to be able to take that back.
            return self._run(statement, params, _last_id)
        rows = self.rows(f"{statement} RETURNING id", params)
        return int(rows[0][0]) if rows else None

    def _run(self, statement: str, params: Sequence[Any], found: Callable[[Any], Found]) -> Found:
        with self.connection.cursor() as cursor:
            cursor.execute(statement, list(params))
            return found(cursor)

    @contextmanager
    def savepoint(self) -> Iterator[None]:
        """What the block wrote is undone if it raises, and nothing else of the transaction."""
        self.run("SAVEPOINT nightshift_part")
        try:
            yield
        except BaseException:
            self.run("ROLLBACK TO SAVEPOINT nightshift_part")
            raise
        finally:
            self.run("RELEASE SAVEPOINT nightshift_part")

    def among_free(self, ids: str) -> str:
        """``IN (…)`` of the ids that this statement selects, without the rows that another transaction holds
        at this moment.

        Processes that pick many rows at once would otherwise wait for one another in different orders. On
        PostgreSQL as an array: a planner may run a subquery of ``IN`` more than once, and each run would skip
        and lock other rows.
        """
        locks = f"= ANY(ARRAY({ids} FOR UPDATE SKIP LOCKED))"
        return locks if self.vendor == "postgresql" else f"IN ({ids})"

    def json(self, text: str) -> str:
        """SQL for a value of a JSON column, of SQL for its text."""
        return f"CAST({text} AS jsonb)" if self.vendor == "postgresql" else text

    def uuid(self, value: str) -> Any:
        """A UUID as the driver wants it."""
        parsed = uuid.UUID(str(value))
        return parsed.hex if self.vendor == "sqlite" else parsed


class OwnSql(Sql):
    """Statements on a connection of ours, past Django's cursor."""

    def __init__(self, connection: Any, execute: driver.Execute) -> None:
        super().__init__(connection)
        self._execute = execute

    def _run(self, statement: str, params: Sequence[Any], found: Callable[[Any], Found]) -> Found:
        with self.connection.wrap_database_errors:
            return found(self._execute(statement, params))

    def frame(self, statement: str) -> None:
        """Begin or end a transaction."""
        with self.connection.wrap_database_errors:
            self._execute(statement, None)


def _rows(cursor: Any) -> list[tuple[Any, ...]]:
    return list(cursor.fetchall())


def _count(cursor: Any) -> int:
    return int(cursor.rowcount)


def _last_id(cursor: Any) -> int | None:
    return int(cursor.lastrowid) if cursor.rowcount else None


def marks(values: Collection[Any]) -> str:
    """Placeholders for ``IN (…)``; of nothing, one that matches nothing."""
    return ", ".join(["%s"] * len(values)) or "NULL"


def any_in_order(condition: str, order: str) -> str:
    """SQL for whether there is such a job.

    Parameters:
        order: the columns of the index that holds these jobs alone. Of several indexes with the state for a
            condition SQLite would go through any, were it not asked for this order.
    """
    return f"(SELECT 1 FROM tom_nightshift_job WHERE {condition} ORDER BY {order} LIMIT 1) IS NOT NULL"


@lru_cache(maxsize=256)
def values(rows: int, types: tuple[str, ...]) -> str:
    """``VALUES …`` with placeholders for so many rows.

    Parameters:
        types: of the columns; PostgreSQL would take all that it is not told for text.
    """
    first = ", ".join(f"CAST(%s AS {kind})" for kind in types)
    others = f", ({', '.join(['%s'] * len(types))})" * (rows - 1)
    return f"VALUES ({first}){others}"


class OwnConnection:
    """A connection that belongs to one thread of Nightshift. It opens when needed and again after a failure.

    Parameters:
        patience: how long a statement waits for a lock that another holds, in seconds.
    """

    def __init__(self, patience: float = 20.0) -> None:
        self.patience = patience
        self.is_pooled = False
        """Whether a pooler stood before the server (PostgreSQL) when the connection was opened."""

        self._connection: Any = None
        self._begin = "BEGIN"

    @contextmanager
    def transaction(self) -> Iterator[Sql]:
        """One transaction: committed at the end, rolled back on any error. An error closes the connection."""
        sql = self._sql()
        try:
            sql.frame(self._begin)
            yield sql
            sql.frame("COMMIT")
        except BaseException:
            self._roll_back()
            raise
        for act in sql.afterwards:
            act()

    @contextmanager
    def reading(self) -> Iterator[Sql]:
        """Statements outside a transaction: for reads that must not take a lock."""
        try:
            yield self._sql()
        except BaseException:
            self._roll_back()
            raise

    def close(self) -> None:
        """Close it; the next use opens it again."""
        if self._connection is not None:
            connection, self._connection = self._connection, None
            with contextlib.suppress(*AWAY):  # it is gone already
                connection.close()
                if connection.connection is not None:  # Django leaves a database in memory open
                    connection.connection.close()

    def _sql(self) -> OwnSql:
        return OwnSql(self._opened(), self._execute)

    def _opened(self) -> Any:
        if self._connection is None:
            self._open()
        return self._connection

    def _open(self) -> None:
        self._connection = connection = _new_connection(jobs_alias(), self.patience)
        try:
            self._begin, self.is_pooled = BEGIN.get(connection.vendor, "BEGIN"), False
            if connection.vendor == "postgresql":
                self._open_session(connection)
            self._execute = driver.straight(connection)
        except BaseException:
            self.close()
            raise

    def _open_session(self, connection: Any) -> None:
        """A process that stands still in the middle of a transaction is taken for dead after the lease: then
        the server, too, is to end that, or nobody could return the jobs whose rows it has locked.
        """
        lease = max(1, int(get_settings().lease * 1000))
        ends_when_idle = f"idle_in_transaction_session_timeout = {lease}"
        self.is_pooled = driver.is_pooled(connection)
        if self.is_pooled:
            self._begin = f"BEGIN; SET LOCAL {ends_when_idle}"
        else:
            driver.prepare_statements(connection)
            _execute(connection, f"SET {ends_when_idle}")

    def _roll_back(self) -> None:
        """A taken lock is an everyday event on SQLite and costs no new connection; anything else does."""
        connection = self._connection
        if connection is None:
            return
        if connection.vendor != "sqlite":
            self.close()
        elif connection.connection is not None and connection.connection.in_transaction:
            connection.connection.rollback()


@contextmanager
def callers_transaction(*, savepoint: bool = True) -> Iterator[Sql]:
    """Statements on the calling thread's own connection, inside its transaction if it has one open.

    Parameters:
        savepoint: whether a failure leaves the caller's transaction as it was. One statement does not need
            it on SQLite; on PostgreSQL a caller who goes on after a failure needs a savepoint of its own, as
            with any statement.
    """
    alias = jobs_alias()
    connection = connections[alias]
    plain = connection.in_atomic_block and not savepoint
    with contextlib.nullcontext() if plain else transaction.atomic(using=alias):
        yield (sql := Sql(connection))
        for act in sql.afterwards:
            transaction.on_commit(act, using=alias, robust=True)


def _new_connection(alias: str, patience: float) -> Any:
    connection = connections.create_connection(alias)
    # The dictionary is shared by all connections of the alias; a pool would hand ours to others.
    connection.settings_dict = copy.deepcopy(connection.settings_dict)
    connection.settings_dict["OPTIONS"].pop("pool", None)
    connection.inc_thread_sharing()
    try:
        connection.ensure_connection()
        if connection.vendor == "sqlite":
            _execute(connection, f"PRAGMA busy_timeout = {int(patience * 1000)}")
            _execute(connection, "PRAGMA synchronous = NORMAL")
            _execute(connection, "PRAGMA temp_store = MEMORY")
        elif connection.vendor == "postgresql" and patience < LOCK_TIMEOUT:
            _execute(connection, f"SET lock_timeout = {int(LOCK_TIMEOUT * 1000)}")
    except BaseException:  # half set up, nobody else would close it
        connection.close()
        raise
    return connection


def _execute(connection: Any, statement: str) -> None:
    with connection.cursor() as cursor:
        cursor.execute(statement)
