"""Many rows at once in the test's own database, as the benchmarks make them."""

from __future__ import annotations

from typing import Any

from django.db import connection


class Here:
    """The test's database, as `benchmarks.rows` asks for one."""

    def __init__(self) -> None:
        self.name = "sqlite" if connection.vendor == "sqlite" else "postgres"

    def rows(self, statement: str) -> list[tuple[Any, ...]]:
        """Run a statement; what it returns, if anything."""
        with connection.cursor() as cursor:
            cursor.execute(statement)
            return list(cursor.fetchall()) if cursor.description else []

    def analyze(self) -> None:
        """Let PostgreSQL's planner know the tables; on SQLite nobody does that on a site either."""
        if self.name == "postgres":
            self.rows("ANALYZE")
