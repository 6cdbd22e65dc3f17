"""A sender of the site under test: each job in a transaction of its own, with owner and subject."""

from __future__ import annotations

import os
from collections.abc import Callable

import django


def prepare() -> Callable[[int], None]:
    """The function that sends one number to the task ``nothing``."""
    os.environ.setdefault("DJANGO_SETTINGS_MODULE", "benchmarks.site.settings")
    django.setup()
    from django.contrib.auth.models import User
    from django.db import transaction

    from benchmarks.site.models import Star
    from benchmarks.site.tasks import nothing

    owner, star = User.objects.get(username="ann"), Star.objects.get(name="Vega")

    def send(number: int) -> None:
        with transaction.atomic():
            nothing.send_with_options(args=(number,), owner=owner, subject=star)

    return send
