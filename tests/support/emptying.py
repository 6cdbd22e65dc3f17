"""What is done to the database after each test that commits, in a site of the engine's own."""

from __future__ import annotations

from typing import Any, ClassVar

from django.contrib.auth.models import Permission
from django.contrib.contenttypes.models import ContentType
from django.core.management.commands import flush
from django.db import connections
from django.db.models import Max

KINDS = (Permission, ContentType)
"""``migrate`` has put rows there, which no test changes; in this order they can be deleted."""


class Flush(flush.Command):
    """Empties all tables, but for what ``migrate`` has put there: Django would delete and make it anew, which
    is half of what a short test takes.

    A TOM's ``migrate`` also makes a user and a site, which tests change: not to be used there.
    """

    last: ClassVar[dict[type, int]] = {}
    """Of each kind, the last row that ``migrate`` has made."""

    @classmethod
    def remember(cls) -> None:
        """The database is as ``migrate`` has left it."""
        cls.last = {kind: kind.objects.aggregate(last=Max("pk"))["last"] for kind in KINDS}

    def handle(self, **options: Any) -> None:
        connection = connections[options["database"]]
        found = connection.introspection.django_table_names(only_existing=True, include_views=False)
        statements = connection.ops.sql_flush(
            self.style,
            sorted(set(found) - {kind._meta.db_table for kind in KINDS}),
            reset_sequences=options.get("reset_sequences", True),
            allow_cascade=options.get("allow_cascade", False),
        )
        connection.ops.execute_sql_flush(statements)
        for kind in KINDS:
            kind.objects.filter(pk__gt=self.last[kind])._raw_delete(connection.alias)
        ContentType.objects.clear_cache()
