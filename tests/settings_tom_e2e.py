"""The TOM of the tests, for worker processes that tests start: with the test's own settings and uploads."""

from __future__ import annotations

import json
import os
from pathlib import Path

from tests.settings_tom import *  # noqa: F403

NIGHTSHIFT = json.loads(os.environ["NIGHTSHIFT_TEST_SETTINGS"])
MEDIA_ROOT = Path(os.environ["NIGHTSHIFT_TEST_MEDIA"])

DATA_PROCESSORS = {**DATA_PROCESSORS, "image_file": "tests.support.processors.Stuck"}  # noqa: F405

# As tom_setup writes it.
LOGGING = {
    "version": 1,
    "disable_existing_loggers": False,
    "handlers": {"console": {"class": "logging.StreamHandler"}},
    "loggers": {"": {"handlers": ["console"], "level": "INFO"}},
}
