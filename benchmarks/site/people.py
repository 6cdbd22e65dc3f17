"""Who asks for the jobs of the site under test, and what they are about."""

from __future__ import annotations

import os

import django


def make() -> int:
    """Write them into the new database; the key of the star."""
    os.environ.setdefault("DJANGO_SETTINGS_MODULE", "benchmarks.site.settings")
    django.setup()
    from django.contrib.auth.models import User

    from benchmarks.site.models import Star

    User.objects.create(username="ann")
    return Star.objects.create(name="Vega").id
