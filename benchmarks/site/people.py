"""Who asks for the jobs of the site under test, and what they are about."""

from __future__ import annotations

from benchmarks.site.start import start


def make() -> int:
    """Write them into the new database: somebody who may see all jobs, and a star, whose key it answers."""
    start()
    from django.contrib.auth.models import User

    from benchmarks.site.models import Star

    User.objects.create(username="ann", is_superuser=True)
    return Star.objects.create(name="Vega").id
