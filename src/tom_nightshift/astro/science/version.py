"""What a catalogue depends on besides its image."""

from __future__ import annotations

import hashlib
from pathlib import Path

import astropy
import numpy as np
import sep


def _of_this_code() -> str:
    code = hashlib.sha256()
    for file in sorted(Path(__file__).parent.glob("*.py")):
        code.update(file.read_bytes())
    return code.hexdigest()


# Taken as the code is loaded: a process that runs on after an update goes on with what it has loaded.
VERSION = f"{_of_this_code()} astropy {astropy.__version__} numpy {np.__version__} sep {sep.__version__}"
"""Differs whenever the same image could give another catalogue."""
