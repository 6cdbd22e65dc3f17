"""The demo's ``manage.py``: as in any TOM, but with the settings in ``extras.py``."""

from __future__ import annotations

import os
import sys

from django.core.management import execute_from_command_line

if __name__ == "__main__":
    os.environ.setdefault("DJANGO_SETTINGS_MODULE", "extras")
    execute_from_command_line(sys.argv)
