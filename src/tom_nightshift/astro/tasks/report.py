"""A catalogue as a job's page shows it: a sentence, facts, remarks, and the beginning of the table."""

from __future__ import annotations

import json
import math
from typing import Any

import numpy as np
from astropy.table import Table

from tom_nightshift.astro.science.catalogue import summary

SHOWN = (
    "ccd", "x", "y", "ra", "dec", "flux_kron", "flux_kron_error", "mag", "mag_error", "fwhm",
    "half_light_radius", "flags",
)  # fmt: skip
ROWS = 15
MOST_BYTES = 60_000
"""A longer value would not be kept with the job; remarks are what can be long."""


def counted(number: int, what: str) -> str:
    """So many of something, in words."""
    return f"{number:,} {what}" if number == 1 else f"{number:,} {what}s"


def report(name: str, whole: Table) -> dict[str, Any]:
    """What a job that found these sources in the file *name* returns: plain values, that JSON can hold."""
    ccds = len(whole.meta["ccds"])
    where = f"{counted(ccds, 'image')} of {name}" if ccds > 1 else name
    found = counted(len(whole), "source") if len(whole) else "no sources"
    said: dict[str, Any] = {
        "summary": f"{found} found in {where}",
        "facts": {"Images": f"{ccds:,}", **summary(whole)},
        "remarks": [str(words) for words in whole.meta["remarks"]],
        "table": _table(whole, ccds),
        "sources": len(whole),
    }
    while len(json.dumps(said)) > MOST_BYTES and said["remarks"]:
        said["remarks"].pop()
    return said


def _table(whole: Table, ccds: int) -> dict[str, Any]:
    names = [name for name in SHOWN if name in whole.colnames and (name != "ccd" or ccds > 1)]
    flux = np.nan_to_num(np.asarray(whole["flux_kron"], dtype=float), nan=-np.inf)
    brightest = whole[np.argsort(-flux, kind="stable")[:ROWS]]
    return {
        "columns": [_column(whole, name) for name in names],
        "rows": [[_plain(row[name]) for name in names] for row in brightest],
        "total": len(whole),
        "caption": _caption(len(brightest), len(whole)),
    }


def _caption(shown: int, total: int) -> str:
    if shown < total:
        return f"The {shown} brightest of {counted(total, 'source')}"
    return "All sources, brightest first"


def _column(whole: Table, name: str) -> dict[str, str]:
    unit, title = whole[name].unit, whole[name].description
    return {"name": name, "unit": "" if unit is None else str(unit), "title": str(title or "")}


def _plain(value: Any) -> int | float | None:
    """A number of numpy's as Python's, no longer than its precision; None for what is not known."""
    if isinstance(value, np.integer):
        return int(value)
    number = float(str(value)) if isinstance(value, np.float32) else float(value)
    return number if math.isfinite(number) else None
