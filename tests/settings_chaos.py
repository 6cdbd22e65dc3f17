"""The site of the tests with real faults: the engine's own, with their tasks and the faults themselves."""

from __future__ import annotations

from tests.settings_e2e import *  # noqa: F403
from tests.settings_e2e import INSTALLED_APPS as WITH_TASKS

INSTALLED_APPS = [*WITH_TASKS, "tests.chaos"]
