"""The engine's own site with tasks in it: the tutorial's and those of the tests with real processes."""

from __future__ import annotations

import json
import os
from pathlib import Path

from django.core.exceptions import ImproperlyConfigured

from tests.settings import *  # noqa: F403
from tests.settings import INSTALLED_APPS as ENGINE

if Path(os.environ.get("NIGHTSHIFT_TEST_BROKEN", "not there")).exists():
    raise ImproperlyConfigured("broken")

INSTALLED_APPS = [*ENGINE, "tests.app", "myapp"]  # myapp: the demo's, which is the tutorial's

NIGHTSHIFT = json.loads(os.environ.get("NIGHTSHIFT_TEST_SETTINGS", "{}"))

# As tom_setup writes it.
LOGGING = {
    "version": 1,
    "disable_existing_loggers": False,
    "handlers": {"console": {"class": "logging.StreamHandler"}},
    "loggers": {"": {"handlers": ["console"], "level": "INFO"}},
}
