"""Processors of uploads, for tests with a whole TOM."""

from __future__ import annotations

import ctypes
from pathlib import Path
from typing import Any

from django.conf import settings
from tom_dataproducts.data_processor import DataProcessor

CAME = "a processor came"
"""The file below ``MEDIA_ROOT`` that says that the reading has begun."""


class Stuck(DataProcessor):  # type: ignore[misc]  # TOM Toolkit carries no types
    """Waits inside one call into C, which hears no request and which no interrupt cuts short."""

    def process_data(self, data_product: Any) -> list[Any]:
        """Come, and stay."""
        Path(settings.MEDIA_ROOT, CAME).touch()
        ctypes.CDLL(None).sleep(600)
        return []
