"""What Dramatiq's own command line is given: ``dramatiq tests.app.cli``."""

from __future__ import annotations

import django

django.setup()

from tests.app import tasks  # noqa: E402, F401
