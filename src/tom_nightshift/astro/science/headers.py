"""What a FITS header says about its image: gain, zero point, saturation, coordinates, and how it was taken.

Keywords were never standardised beyond the FITS paper, so each quantity has a documented list, tried in
order, and a range outside which a value is not believed.
"""

from __future__ import annotations

import math
import re
import threading
import warnings
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from typing import Any

from astropy.io.fits import Header
from astropy.wcs import WCS
from astropy.wcs.utils import proj_plane_pixel_scales, wcs_to_celestial_frame

from tom_nightshift.astro.science import units

GAIN_KEYWORDS = ("EGAIN", "CCDGAIN", "GAIN")
"""Electrons per ADU. EGAIN first: where both stand, GAIN is often a camera's setting and not a gain."""

ZERO_POINT_KEYWORDS = ("MAGZPT", "MAGZERO", "MAGZP", "ZEROPOINT", "PHOTZP", "IMAGEZPT", "ZP")
"""The magnitude of a source of one count in this image."""

SATURATION_KEYWORDS = ("SATURATE", "SATLEVEL", "SATURAT")
"""Counts at and above which a pixel is not to be trusted."""

SANE_GAIN = (0.005, 200.0)
SANE_ZERO_POINT = (5.0, 40.0)

PLATE_KEYWORDS = (
    "PLATEID",
    "PLATENUM",
    "PLATE-ID",
    "PLTLABEL",
    "PLATELBL",
    "SCANNUM",
    "SCANIMG",
    "PLTSCALE",
    "EMULSION",
)
PLATE_SURVEYS = re.compile(r"\b(DSS\d?|POSS|SERC|UKST|AAO-?SES|SuperCOSMOS|APM|plate)", re.IGNORECASE)

NO_COORDINATES = "the header has no sky coordinates (WCS): RA and Dec are missing"
"""Said of a header that does not speak of the sky."""

COARSEST = 0.5
"""Degrees a pixel beyond which a scale is not believed: an all-sky camera of 400 pixels has that. What stands
there instead is usually the 1 degree that the standard assumes where no scale is given."""

WIDEST = 360.0
"""Degrees along an image's side: there is no more sky."""

_OF_THE_LIBRARY = re.compile(r"ERROR \d+ in \w+\(\) at line \d+ of file \S+?:(\s|$)")

_one_at_a_time = threading.RLock()


@contextmanager
def quiet() -> Iterator[None]:
    """Keep astropy's warnings off the log while a file is read: what matters is checked and said in words.

    Python's warning filters belong to the whole process; the lock keeps two threads from restoring each
    other's. Never hold it across a ``yield``.
    """
    with _one_at_a_time, warnings.catch_warnings():
        warnings.simplefilter("ignore")
        yield


def number(header: Header, keywords: Iterable[str], sane: tuple[float, float]) -> tuple[float, str] | None:
    """Find the first of *keywords* that holds a real number within *sane*: (value, keyword), or None."""
    for keyword in keywords:
        value = _real(header, keyword)
        if value is not None and sane[0] <= value <= sane[1]:
            return value, keyword
    return None


def gain(header: Header) -> float | None:
    """How many electrons one count stands for, or None where the header does not say.

    Images in electrons have 1; images in counts a second have the electrons of the whole exposure per unit;
    images in anything else (MJy/sr) have none, whatever GAIN stands there: it was that of the raw frames.
    """
    unit = units.counts(header)
    if unit is None:
        return None
    found = (1.0, "BUNIT") if unit.startswith("electron") else number(header, GAIN_KEYWORDS, SANE_GAIN)
    per_count = found[0] if found else None
    if per_count is None or not unit.endswith("/ s"):
        return per_count
    exposure = number(header, ("EXPTIME", "EXPOSURE"), (1e-6, 1e7))
    return per_count * exposure[0] if exposure else None


def zero_point(header: Header) -> tuple[float, str] | None:
    """Find the magnitude of one count and the keyword that says so, or None."""
    return number(header, ZERO_POINT_KEYWORDS, SANE_ZERO_POINT)


def saturation(header: Header) -> float | None:
    """Find the count at which pixels saturate, or None."""
    found = number(header, SATURATION_KEYWORDS, (1e-30, math.inf))
    return found[0] if found else None


def celestial(header: Header, hdus: Any = None) -> tuple[WCS | None, str]:
    """Read the header's sky coordinates.

    :param hdus: the file, where distortions may stand in other extensions
    :returns: the celestial WCS and no words; or None and a sentence that says why there is none
    """
    if not str(header.get("CTYPE1", "")).strip():
        return None, NO_COORDINATES
    try:
        with quiet():
            return _sound(WCS(header, fobj=hdus)), ""
    except Exception as error:  # noqa: BLE001 - astropy and wcslib raise a dozen kinds, down to bare ValueError and KeyError
        words = f"the sky coordinates (WCS) in the header cannot be used ({_reason(error)})"
        return None, f"{words}: RA and Dec are missing"


def system(header: Header, wcs: WCS) -> str:
    """Say in which system the header's coordinates are, and what was assumed where it is silent."""
    frame = wcs_to_celestial_frame(wcs)
    equinox = getattr(frame, "equinox", None)
    words = str(frame.name).upper()
    if equinox is not None:
        words += f" {'B' if frame.name == 'fk4' else 'J'}{equinox.value:g}"
    if "RADESYS" in header or "RADECSYS" in header or frame.name not in ("icrs", "fk5", "fk4"):
        return words
    given = f"EQUINOX {float(header['EQUINOX']):g}" if _real(header, "EQUINOX") else "no EQUINOX either"
    return f"{words} (assumed: the header has no RADESYS; {given})"


def not_linear(header: Header) -> str:
    """Say why this image's counts may not follow light; no words when nothing speaks against it."""
    survey = " ".join(str(header.get(k, "")) for k in ("SURVEY", "ORIGIN", "TELESCOP"))
    if any(keyword in header for keyword in PLATE_KEYWORDS) or PLATE_SURVEYS.search(survey):
        return (
            "The frame is not linear: it is a scanned photographic plate, whose counts follow blackening "
            "and not light, so its magnitudes only rank the sources."
        )
    remarks = " ".join(str(line) for key in ("COMMENT", "HISTORY") for line in header.get(key, ()))
    if "SkyView" in remarks and "EXPTIME" not in header and "BUNIT" not in header:
        return (
            "Take the frame as not linear: SkyView resampled it from a survey that the header does not name, "
            "in that survey's own units (often a plate's blackening), so its magnitudes only rank sources."
        )
    return ""


def _real(header: Header, keyword: str) -> float | None:
    try:
        value = header.get(keyword)
    except Exception:  # noqa: BLE001 - a card that cannot be parsed raises only when it is looked at
        return None
    if isinstance(value, bool) or not isinstance(value, int | float) or not math.isfinite(value):
        return None
    return float(value)


def _reason(error: Exception) -> str:
    """What the library says, without where in its source code it says so."""
    words = " ".join(_OF_THE_LIBRARY.sub(" ", str(error)).split())
    return words.rstrip(".:")[:120] or type(error).__name__


def _sound(wcs: WCS) -> WCS:
    """Give the celestial part if it can really be used; raise ValueError if not."""
    if not wcs.has_celestial:
        raise ValueError("they are not a pair of celestial axes")
    sky = wcs if wcs.naxis == 2 else wcs.celestial
    wcs_to_celestial_frame(sky)
    scales = proj_plane_pixel_scales(sky)
    there = sky.all_pix2world([sky.wcs.crpix], 1)[0]
    if not all(map(math.isfinite, (*scales, *there))) or min(scales) <= 0:
        raise ValueError("they lead to no place on the sky")
    widest = max(scale * side for scale, side in zip(scales, sky.pixel_shape or (0, 0), strict=True))
    if max(scales) > COARSEST or widest > WIDEST:
        raise ValueError(f"a pixel would be {max(scales):.3g} degrees wide, and the image {widest:.3g}")
    return sky
