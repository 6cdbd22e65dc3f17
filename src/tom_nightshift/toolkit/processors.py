"""What TOM Toolkit's upload code is handed in place of the TOM's processors: it asks for jobs that run those.

TOM Toolkit finds a processor by a dotted path in ``settings.DATA_PROCESSORS``, so this module hands out
classes on the fly (PEP 562): ``tom_nightshift.toolkit.processors.Deferred__photometry`` is a subclass of
whatever processor the TOM has for photometry. Inside a job, and wherever an upload is to be read in the
request, it is that processor.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from importlib import import_module
from typing import Any

from tom_dataproducts.data_processor import DataProcessor

from tom_nightshift.toolkit import saving, uploads

SOURCE_EXTRACTION = f"{__name__}.SourceExtraction"

_real: dict[str, tuple[str, str]] = {}
"""The data type and the path of the TOM's own processor, by the name of the class that stands in for it."""


def deferring(processors: Mapping[str, Any]) -> dict[str, Any]:
    """The same processors, each by the path of the class that stands in for it."""
    return {data_type: _stand_in(data_type, path) for data_type, path in processors.items()}


class SourceExtraction(DataProcessor):  # type: ignore[misc]  # TOM Toolkit carries no types
    """Asks for the sources in an image; put in only where the TOM has no processor for FITS files."""

    def process_data(self, data_product: Any) -> list[Any]:
        """Ask for the job; there is nothing to be put into the TOM's tables."""
        uploads.find_sources(data_product)
        return []


class _Deferring:
    """Comes before the TOM's own processor among the bases of the class that stands in for it."""

    data_type: str

    def process_data(self, data_product: Any) -> Any:
        """Nothing, and a job that reads it later; or what the TOM's own processor makes of it now."""
        if uploads.read_by_a_job(data_product, self.data_type):
            return []
        data = super().process_data(data_product)  # type: ignore[misc]  # of the class it is combined with
        saving.begin()
        return data


def __getattr__(name: str) -> Any:
    """The class that stands in for a processor of the TOM's."""
    if name not in _real:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    data_type, path = _real[name]
    try:
        module_name, class_name = path.rsplit(".", 1)
        real = getattr(import_module(module_name), class_name)
    except (ImportError, AttributeError):
        return _not_importable(path)
    if not isinstance(real, type):
        return real  # a factory, or what else can be called: it stays what it is
    body = {"data_type": data_type, "__module__": real.__module__}
    return type(real)(real.__name__, (_Deferring, real), body)  # by its own metaclass


def _stand_in(data_type: Any, path: Any) -> Any:
    if not isinstance(path, str) or "." not in path or path.startswith(f"{__name__}."):
        return path
    name = "Deferred__" + re.sub(r"\W", lambda found: f"_{ord(found[0]):x}_", str(data_type))
    while _real.setdefault(name, (data_type, path)) != (data_type, path):
        name += "_"
    return f"{__name__}.{name}"


def _not_importable(path: str) -> Any:
    """Fails where TOM Toolkit would have, with its words: they name the path that the TOM's settings name."""

    def refuse() -> None:
        raise ImportError(f"Could not import {path}. Did you provide the correct path?")

    return refuse
