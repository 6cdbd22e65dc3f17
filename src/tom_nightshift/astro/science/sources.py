"""One image becomes one catalogue: background, detection, measuring, and what was missed."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
from astropy.table import Table
from numpy.typing import NDArray

from tom_nightshift.astro.science.catalogue import make_catalogue
from tom_nightshift.astro.science.columns import COLUMNS
from tom_nightshift.astro.science.completeness import Trial, try_artificial_stars
from tom_nightshift.astro.science.detection import Detections, Sky, detect, measure_sky
from tom_nightshift.astro.science.images import Image
from tom_nightshift.astro.science.photometry import Plate, measure

Report = Callable[[int, int, str], None]

STARS = 2500
"""Artificial stars tried in each image: some 250 of each brightness, so a fraction is known to 3 %."""

STEPS = 100
BACKGROUND, DETECTING, MEASURING, MISSED = 0, 3, 8, 20  # per cent of the time at which each begins


def find_sources(
    image: Image, *, threshold: float = 3.0, artificial_stars: int = STARS, report: Report | None = None
) -> Table:
    """Find, separate and measure the sources of an image, and find out what was missed.

    Sources are detected above the background of all pixels; then the background is taken again without
    them, and they are measured above that.

    :param image: from :func:`~.images.images`
    :param threshold: in units of the background's standard deviation (``globalrms``)
    :param artificial_stars: how many to try; 0 for none, which takes a quarter of the time
    :param report: called with (done, total, words)
    :returns: the catalogue; ``meta["remarks"]`` says how far to trust it
    :raises TaskError: too much of the image is above the threshold to tell sources apart
    """
    say = report or (lambda done, total, words: None)
    say(BACKGROUND, STEPS, "measuring the background")
    if image.mask.all() or not _has_contrast(image):
        facts = _facts(None, None, None) | {"every_pixel": _same_everywhere(image)}
        return make_catalogue(image, _nothing(), facts, threshold)
    sky = measure_sky(image.data, image.mask)
    if not sky.typical_noise > 0:
        return make_catalogue(image, _nothing(), _facts(sky, None, None), threshold)
    say(DETECTING, STEPS, "looking for sources")
    found = detect(image.data - sky.level, sky.typical_noise, threshold, bad=image.bad, gain=image.gain)
    say(MEASURING, STEPS, f"measuring {len(found.objects):,} sources")
    measured = _measured(image, found)
    width = seeing(measured)
    trial = _trial(image, found, threshold, width, artificial_stars, say)
    say(STEPS, STEPS, f"{len(found.objects):,} sources")
    return make_catalogue(image, measured, _facts(sky, width, trial), threshold)


def seeing(measured: dict[str, NDArray[Any]]) -> float | None:
    """Find the width (FWHM, pixels) of the image's stars; None from fewer than 3 usable sources.

    Stars are the sharpest things in a picture of the sky: of clean, well-exposed sources the 30th percentile
    lies among them even where galaxies are many; cosmic rays, sharper still, are fewer than that.
    """
    with np.errstate(all="ignore"):
        bright = measured["flux_kron"] > 20 * measured["flux_kron_error"]
    usable = np.isfinite(measured["fwhm"])
    for choice in (usable & bright & (measured["flags"] == 0), usable & bright, usable):
        if choice.sum() >= 3:
            return float(np.percentile(measured["fwhm"][choice], 30))
    return None


def _has_contrast(image: Image) -> bool:
    known = image.data[~image.mask]
    return min(image.data.shape) >= 8 and bool(known.min() < known.max())


def _same_everywhere(image: Image) -> float | None:
    """The value that all pixels have that are known; None if they differ."""
    known = image.data[~image.mask]
    return _rounded(float(known[0])) if known.size and known.min() == known.max() else None


def _measured(image: Image, found: Detections) -> dict[str, NDArray[Any]]:
    covered = found.segments > 0
    mostly_sky = np.mean(covered | image.mask) < 0.9
    sky = measure_sky(image.data, image.mask | covered if mostly_sky else image.mask)
    plate = Plate(image.data - sky.level, sky.noise, image.mask, image.saturated, image.gain)
    return measure(plate, found, sky) if len(found.objects) else _nothing()


def _trial(
    image: Image, found: Detections, threshold: float, width: float | None, stars: int, say: Report
) -> Trial | None:
    if not width or not stars:
        return None

    def report(done: int, rounds: int) -> None:
        at = MISSED + (STEPS - MISSED) * done // rounds
        say(at, STEPS, f"adding artificial stars to see what is missed ({done + 1} of {rounds})")

    return try_artificial_stars(image, found, threshold=threshold, fwhm=width, stars=stars, report=report)


def _nothing() -> dict[str, NDArray[Any]]:
    return {column.name: np.empty(0) for column in COLUMNS}


def _facts(sky: Sky | None, width: float | None, trial: Trial | None) -> dict[str, Any]:
    """What the catalogue's meta records of each CCD beyond its header; plain numbers, for YAML."""
    return {
        "background": _rounded(sky.typical_level if sky else None),
        "noise": _rounded(sky.typical_noise if sky else None),
        "seeing": _rounded(width),
        "every_pixel": None,
        "error_factor": _rounded(trial.error_factor() if trial else None),
        "light_in_kron": _rounded(trial.light_kept() if trial else None),
        "artificial_stars": trial and _counts(trial),
    }


def _counts(trial: Trial) -> dict[str, Any]:
    arrays = {name: getattr(trial, name) for name in ("tried", "found", "tried_crowded", "found_crowded")}
    return {
        "flux": [_rounded(flux) for flux in trial.flux],
        "crowded_part": round(trial.crowded_part, 4),
        "crowded_core": trial.crowded_core,
        **{name: [int(n) for n in values] for name, values in arrays.items()},
    }


def _rounded(value: float | None) -> float | None:
    return None if value is None else float(f"{value:.5g}")
