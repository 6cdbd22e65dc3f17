"""What is measured of each source: place, light, size.

All positions here count from 0 (the first pixel's centre is 0, 0); light is in counts, lengths are in pixels.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
import sep
from numpy.typing import NDArray

from tom_nightshift.astro.science.detection import Detections, Sky

APERTURES = (2, 3, 4, 5, 6, 8, 10, 12)
"""Radii of the fixed circular apertures, pixels."""

LIGHT_FRACTIONS = (0.2, 0.5, 0.9)
"""Parts of the Kron flux whose radii are given."""

SATURATED = 256
"""Our own bit beside SEP's in the flags."""

KRON_REACH, KRON_FACTOR, KRON_LEAST = 6.0, 2.5, 3.5
SMALLEST_AXIS = 1 / np.sqrt(12)  # a source within one pixel: the standard deviation of a box of width 1
RINGS: NDArray[np.float64] = np.linspace(
    0.5, 6.0, 12
)  # outer radii of the rings in which a source's profile is taken

Floats = NDArray[np.float64]
Ints = NDArray[np.int64]


@dataclass(frozen=True, eq=False)
class Plate:
    """An image made ready for measuring; all arrays have shape (y, x)."""

    light: NDArray[np.float32]
    """Counts above the background."""

    noise: NDArray[np.float32]
    """Standard deviation of the background in each pixel, counts."""

    mask: NDArray[np.bool_]
    """Pixels whose counts are not to be used."""

    saturated: NDArray[np.bool_]
    gain: float | None


@dataclass(frozen=True, eq=False)
class Kron:
    """Kron photometry; arrays of shape (n,)."""

    flux: Floats
    error: Floats
    radius: Floats
    flags: Ints


def measure(plate: Plate, found: Detections, sky: Sky) -> dict[str, NDArray[Any]]:
    """Measure all sources at once.

    :param plate: the image without its background
    :param found: its sources
    :param sky: the background that was taken away
    :returns: arrays of shape (n,), named as the catalogue's columns
    """
    objects = found.objects
    kron = measure_kron(plate, found)
    radii, radius_flags = _light_radii(plate, found, kron.flux)
    x, y, window_flags = _windowed(plate, found, radii[:, 1])
    columns: dict[str, NDArray[Any]] = {
        "x": x,
        "y": y,
        "x_error": np.sqrt(np.maximum(objects["errx2"], 0)),
        "y_error": np.sqrt(np.maximum(objects["erry2"], 0)),
        "flux_kron": kron.flux,
        "flux_kron_error": kron.error,
        "kron_radius": kron.radius,
        "half_light_radius": radii[:, 1],
        "radius_20": radii[:, 0],
        "radius_90": radii[:, 2],
        "fwhm": _core_fwhm(plate, x, y),
        "a": objects["a"],
        "b": objects["b"],
        "theta": np.degrees(objects["theta"]),
        "peak": objects["peak"],
        "background": sky.level[_pixel(y, x, sky.level.shape)],
        "pixels": objects["npix"],
        "flags": objects["flag"] | kron.flags | radius_flags | window_flags | _saturated(plate, found),
    }
    return columns | _curve_of_growth(plate, x, y)


def measure_kron(plate: Plate, found: Detections) -> Kron:
    """Sum the light within 2.5 Kron radii (Kron 1980; SExtractor's ``FLUX_AUTO``), but 3.5 axes at least.

    The first moment is taken within 6 isophotal axes; pixels of neighbours are left out and made up for by
    the source's mean.
    """
    objects, others = found.objects, _others(found)
    a, b, theta = _ellipse(objects)
    radius, flags = sep.kron_radius(
        plate.light, objects["x"], objects["y"], a, b, theta, KRON_REACH, mask=plate.mask, **others
    )
    reach = np.maximum(KRON_FACTOR * np.nan_to_num(radius), KRON_LEAST)
    flux, error, more_flags = sep.sum_ellipse(
        plate.light, objects["x"], objects["y"], a, b, theta, np.minimum(reach, KRON_FACTOR * KRON_REACH),
        err=plate.noise, gain=plate.gain, mask=plate.mask, subpix=0, **others,
    )  # fmt: skip
    return Kron(flux, error, reach / KRON_FACTOR, flags | more_flags)


def _others(found: Detections) -> dict[str, Any]:
    """What SEP needs to leave out the pixels that belong to other sources."""
    return {"segmap": found.segments, "seg_id": np.arange(1, len(found.objects) + 1, dtype=np.int32)}


def _ellipse(objects: NDArray[Any]) -> tuple[Floats, Floats, Floats]:
    """Axes and angle within what SEP accepts: rounding can leave a < b, or too wide an angle."""
    b = np.maximum(np.nan_to_num(objects["b"]), SMALLEST_AXIS)
    a = np.maximum(np.nan_to_num(objects["a"]), b)
    return a, b, np.clip(np.nan_to_num(objects["theta"]), -np.pi / 2, np.pi / 2)


def _light_radii(plate: Plate, found: Detections, flux: Floats) -> tuple[Floats, Ints]:
    """Radii of the circles that hold :data:`LIGHT_FRACTIONS` of the Kron flux, shape (n, 3)."""
    objects = found.objects
    a, _, _ = _ellipse(objects)
    with np.errstate(all="ignore"):
        radii, flags = sep.flux_radius(
            plate.light, objects["x"], objects["y"], KRON_REACH * a, LIGHT_FRACTIONS,
            normflux=flux, mask=plate.mask, subpix=5, **_others(found),
        )  # fmt: skip
    return np.where((flux > 0)[:, None], radii, np.nan).reshape(-1, len(LIGHT_FRACTIONS)), flags


def _windowed(plate: Plate, found: Detections, half_light: Floats) -> tuple[Floats, Floats, Ints]:
    """Positions under a Gaussian window (SExtractor's ``XWIN``), several times as precise as the barycentre.

    Beside a brighter neighbour the window can wander off; such sources keep their barycentre.
    """
    x, y = found.objects["x"], found.objects["y"]
    sigma = np.nan_to_num(half_light, nan=1.0) * 2 / 2.35
    # A saturated core is left in: without it the window would look for the middle of a ring.
    wx, wy, flags = sep.winpos(plate.light, x, y, sigma, mask=plate.mask & ~plate.saturated, subpix=0)
    height, width = plate.light.shape
    strayed = ~(np.hypot(wx - x, wy - y) <= np.maximum(1.0, 0.5 * sigma))
    strayed |= (wx < -0.5) | (wy < -0.5) | (wx > width - 0.5) | (wy > height - 0.5)
    return np.where(strayed, x, wx), np.where(strayed, y, wy), np.where(strayed, 0, flags)


def _curve_of_growth(plate: Plate, x: Floats, y: Floats) -> dict[str, NDArray[Any]]:
    """Light within fixed circles, with exact overlaps; neighbours' light is *not* taken out."""
    columns: dict[str, NDArray[Any]] = {}
    for radius in APERTURES:
        flux, error, _ = sep.sum_circle(
            plate.light, x, y, radius, err=plate.noise, gain=plate.gain, mask=plate.mask, subpix=0
        )
        columns[f"flux_{radius}px"], columns[f"flux_{radius}px_error"] = flux, error
    return columns


def _core_fwhm(plate: Plate, x: Floats, y: Floats) -> Floats:
    """Full width at half maximum of a Gaussian fitted to the core of each source's radial profile.

    The mean brightness in rings of half a pixel falls as exp(−r²/2σ²), and its logarithm as a straight line
    in r²; the line is fitted, weighted by brightness squared, to the unbroken run of rings from the middle
    that are brighter than 0.4 of it. Summing takes a pixel for evenly lit, which adds a pixel's variance,
    1/12; it is taken off: FWHM = √(8 ln 2 (σ² − 1/12)). NaN where fewer than two rings are left.
    """
    sums = np.array([sep.sum_circle(plate.light, x, y, r, mask=plate.mask, subpix=0)[0] for r in RINGS])
    squares: Floats = np.concatenate([[0.0], RINGS**2])[:, None]
    bright: Floats = np.diff(sums, axis=0, prepend=0) / (np.pi * np.diff(squares, axis=0))
    core = np.logical_and.accumulate((bright > 0.4 * bright[:1]) & (bright > 0), axis=0)
    weight = np.where(core, bright, 0.0) ** 2
    with np.errstate(all="ignore"):
        slope = _slope((squares[1:] + squares[:-1]) / 2, np.log(np.where(core, bright, 1)), weight)
        fwhm = np.sqrt(8 * np.log(2) * np.maximum(-0.5 / slope - SMALLEST_AXIS**2, 0))
    return np.asarray(np.where((core.sum(axis=0) >= 2) & (slope < 0), fwhm, np.nan))


def _slope(abscissa: Floats, ordinate: NDArray[Any], weight: NDArray[Any]) -> Floats:
    """Slope of the weighted straight line through each column."""
    total = weight.sum(axis=0)
    dx = abscissa - (weight * abscissa).sum(axis=0) / total
    return np.asarray((weight * dx * ordinate).sum(axis=0) / (weight * dx**2).sum(axis=0))


def _saturated(plate: Plate, found: Detections) -> Ints:
    """Mark the sources that own a saturated pixel."""
    owners = np.unique(found.segments[plate.saturated])
    marks = np.zeros(len(found.objects) + 1, dtype=np.int64)
    marks[owners] = SATURATED
    return marks[1:]


def _pixel(y: Floats, x: Floats, shape: tuple[int, ...]) -> tuple[NDArray[np.intp], NDArray[np.intp]]:
    row = np.clip(np.rint(y).astype(np.intp), 0, shape[0] - 1)
    column = np.clip(np.rint(x).astype(np.intp), 0, shape[1] - 1)
    return row, column
