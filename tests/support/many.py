"""Many rows at once in the test's own database, as the benchmarks make them."""

from __future__ import annotations

from typing import Any

from django.db import connection

from tom_nightshift.models import Job

_NEW_ID = {"sqlite": "lower(hex(randomblob(16)))", "postgres": "gen_random_uuid()"}
_NUMBERS = "WITH RECURSIVE n(i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM n WHERE i < {count}) "


class Here:
    """The test's database, as `benchmarks.rows` asks for one."""

    def __init__(self) -> None:
        self.name = "sqlite" if connection.vendor == "sqlite" else "postgres"

    def rows(self, statement: str) -> list[tuple[Any, ...]]:
        """Run a statement; what it returns, if anything."""
        with connection.cursor() as cursor:
            cursor.execute(statement)
            return list(cursor.fetchall()) if cursor.description else []

    def copy(self, job: Job, count: int) -> None:
        """Add so many jobs that are as this one."""
        own = ("id", "message_id")
        columns = ", ".join(
            str(field.column) for field in Job._meta.concrete_fields if field.column not in own
        )
        source = f"SELECT {_NEW_ID[self.name]}, {columns} FROM tom_nightshift_job, n WHERE id = {job.pk}"
        into = f"INSERT INTO tom_nightshift_job (message_id, {columns})"
        self.rows(f"{into} {_NUMBERS.format(count=count)}{source}")

    def analyze(self) -> None:
        """Let PostgreSQL's planner know the tables; on SQLite nobody does that on a site either."""
        if self.name == "postgres":
            self.rows("ANALYZE")
