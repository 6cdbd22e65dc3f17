"""What is done to the database after each test that commits, in a site of the engine's own."""

from __future__ import annotations

from typing import Any, ClassVar

from django.contrib.auth.models import Permission
from django.contrib.contenttypes.models import ContentType
from django.core.management.commands import flush
from django.db import connections, transaction
from django.db.models import Max

KINDS = (Permission, ContentType)
"""``migrate`` has put rows there, which no test changes; in this order they can be deleted."""


class Flush(flush.Command):
    """Empties all tables, but for what ``migrate`` has put there.

    Django would delete that too and make it anew, and would truncate on PostgreSQL, which makes a file for
    each table: together, more than half of what a short test takes. A TOM's ``migrate`` also makes a user and
    a site, which tests change: not to be used there.
    """

    last: ClassVar[dict[type, int]] = {}
    """Of each kind, the last row that ``migrate`` has made."""

    @classmethod
    def remember(cls) -> None:
        """The database is as ``migrate`` has left it."""
        cls.last = {kind: kind.objects.aggregate(last=Max("pk"))["last"] for kind in KINDS}

    def handle(self, **options: Any) -> None:
        assert not options["reset_sequences"], "a test that counts on numbers from 1 needs Django's own flush"
        connection = connections[options["database"]]
        found = connection.introspection.django_table_names(only_existing=True, include_views=False)
        with transaction.atomic(connection.alias), connection.cursor() as cursor:
            for table in sorted(set(found) - {kind._meta.db_table for kind in KINDS}):
                cursor.execute(f"DELETE FROM {connection.ops.quote_name(table)}")
            for kind in KINDS:
                added = kind.objects.using(connection.alias).filter(pk__gt=self.last[kind])
                added._raw_delete(connection.alias)
        ContentType.objects.clear_cache()
