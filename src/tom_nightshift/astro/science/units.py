"""What an image's numbers are, by its BUNIT: counts, whose noise a gain tells, or something calibrated."""

from __future__ import annotations

import re

from astropy.io.fits import Header

ADU = "adu"
"""What numbers are taken for where the header is silent."""

_SILENT = frozenset({"", "unknown", "none", "n/a", "na"})
_NAMES = {"electron": "electron", "e": "electron", "photon": "ph", "count": "ct", "ct": "ct"}
_COUNTS = re.compile(r"(electron|photon|count|ct|adu|dn|e)s?-?(?![a-z])")
_A_SECOND = re.compile(r"s|sec|seconds?")
_OF_NO_MATTER = {"", "per", "pix", "pixel", "pixels", "1"}


def counts(header: Header) -> str | None:
    """Name the unit of an image of counts, as astropy writes it (``adu``, ``electron / s``).

    :returns: None where the numbers are no counts, such as those of an image in MJy/sr
    """
    given = _given(header).lower()
    if given in _SILENT:
        return ADU
    start = _COUNTS.match(given)
    if start is None:
        return None
    further = set(re.split(r"[^a-z0-9]+", given[start.end() :])) - _OF_NO_MATTER
    seconds = {word for word in further if _A_SECOND.fullmatch(word)}
    if further - seconds:
        return None
    name = _NAMES.get(start[1], ADU)
    return f"{name} / s" if seconds else name


def unit(header: Header) -> str:
    """Name the unit of an image's numbers; one that is no count's, as the header has it."""
    return counts(header) or _given(header)


def _given(header: Header) -> str:
    return " ".join(str(header.get("BUNIT") or "").split())[:40]
