"""A web process under gevent: many greenlets ask for jobs, by way of sockets and locks that it has patched.

``python -m tests.app.green FILE COUNT``
"""

from __future__ import annotations

from gevent import monkey

monkey.patch_all()

import sys  # noqa: E402

import django  # noqa: E402
import gevent  # noqa: E402


def main(file: str, count: int) -> None:
    """Ask for so many jobs, each in a greenlet and a transaction of its own."""
    django.setup()
    asking = [gevent.spawn(_ask, file) for _ in range(count)]
    gevent.joinall(asking, raise_error=True)
    print("all asked for")


def _ask(file: str) -> None:
    from django.db import connection, transaction

    from tests.app.tasks import append

    with transaction.atomic():
        append.send(file)
    connection.close()


if __name__ == "__main__":
    main(sys.argv[1], int(sys.argv[2]))
