"""Artificial stars: the only way to know what a catalogue has missed, and how good its errors are.

Stars of known light and of the image's own sharpness are added at places strewn over it, the image is
searched again exactly as before, and it is counted which of them come back (Stetson 1987, PASP 99, 191). The
same stars tell whether the quoted errors of the light are right.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from typing import Any

import numpy as np
from numpy.typing import NDArray

from tom_nightshift.astro.science.detection import Detections, Sky, detect, measure_sky
from tom_nightshift.astro.science.images import Image
from tom_nightshift.astro.science.photometry import Kron, Plate, measure_kron

LEVELS = 1.5 ** np.arange(-1, 9)
"""Light of the artificial stars, in units of the faintest that could be detected against empty sky."""

MOST_ROUNDS = 40
MOFFAT_BETA = 3.0
CROWDED = 0.5
"""A place is crowded where sources cover more than this part of its surroundings."""

Floats = NDArray[np.float64]


@dataclass
class Trial:
    """What became of the artificial stars; arrays of shape (levels,)."""

    flux: Floats
    """Light of the stars of each level, counts."""

    crowded_part: float
    """How much of the image is crowded, 0 to 1."""

    crowded_core: bool
    """Whether the crowded places lie together, as those of a cluster's core do, rather than strewn."""

    tried: Floats = field(default_factory=lambda: np.zeros(len(LEVELS)))
    found: Floats = field(default_factory=lambda: np.zeros(len(LEVELS)))
    tried_crowded: Floats = field(default_factory=lambda: np.zeros(len(LEVELS)))
    found_crowded: Floats = field(default_factory=lambda: np.zeros(len(LEVELS)))

    measured: list[Floats] = field(default_factory=list)
    """Of recovered stars outside crowded places, shape (3, stars): level, Kron flux, its quoted error."""

    def light_kept(self) -> float | None:
        """The part of a star's light that is in its Kron flux; None from fewer than 50 stars."""
        level, flux, _ = self._measured()
        return float(np.median(flux / self.flux[level])) if len(level) >= 50 else None

    def error_factor(self) -> float | None:
        """How many times larger the errors are than quoted; None from fewer than 50 stars.

        From the scatter about each level's own median: light that every star loses is no error of this kind.
        """
        level, flux, error = self._measured()
        if len(level) < 50:
            return None
        middle = np.array(
            [np.median(flux[level == n]) if (level == n).any() else 0 for n in range(len(LEVELS))]
        )
        low, high = np.percentile((flux - middle[level]) / error, (15.87, 84.13))
        return float(high - low) / 2

    def _measured(self) -> tuple[NDArray[np.intp], Floats, Floats]:
        level, flux, error = np.hstack([np.empty((3, 0)), *self.measured])
        sound = np.isfinite(flux) & (error > 0)
        return level[sound].astype(np.intp), flux[sound], error[sound]


def try_artificial_stars(
    image: Image,
    found: Detections,
    *,
    threshold: float,
    fwhm: float,
    stars: int,
    report: Callable[[int, int], None],
) -> Trial:
    """Add stars, search again, count: until *stars* have been tried.

    :param image: the image as read
    :param found: what was detected in it
    :param threshold: as it was detected, in units of the noise
    :param fwhm: of the image's stars, pixels
    :param stars: how many to try in all; a round adds few enough not to crowd the image further
    :param report: called with (rounds done, rounds in all)
    """
    crowded = _crowded(found.segments > 0, fwhm)
    trial = Trial(_faintest(found.limit, fwhm) * LEVELS, float(crowded.mean()), _lie_together(crowded))
    rng = np.random.default_rng(20260701 + image.number)  # the same image gives the same answer
    per_round = _stars_a_round(image.data.shape, len(found.objects), fwhm)
    rounds = min(MOST_ROUNDS, math.ceil(stars / per_round))
    for done in range(rounds):
        report(done, rounds)
        fresh = _Stars.strew(image, trial, per_round, rng)
        after, sky, light = _searched_again(image, fresh, threshold, fwhm, rng)
        match, there = _recovered(fresh, found, after, fwhm), _at(crowded, fresh.x, fresh.y)
        _count(trial, fresh, match >= 0, there)
        kron = measure_kron(Plate(light, sky.noise, image.mask, image.saturated, image.gain), after)
        trial.measured.append(_clean_ones(fresh, after, kron, np.where(there, -1, match)))
    return trial


@dataclass(frozen=True, eq=False)
class _Stars:
    """Artificial stars of one round, each field of shape (n,)."""

    x: Floats
    y: Floats
    level: NDArray[np.intp]
    flux: Floats

    @classmethod
    def strew(cls, image: Image, trial: Trial, number: int, rng: np.random.Generator) -> _Stars:
        """One star in each cell of a grid, so that no two fall together; the levels in turn, shuffled."""
        height, width = image.data.shape
        across = max(1, round(math.sqrt(number * width / height)))
        down = max(1, round(number / across))
        column, row = (v.ravel() for v in np.meshgrid(np.arange(across), np.arange(down)))
        level = rng.permutation((int(trial.tried.sum()) + np.arange(len(column))) % len(LEVELS))
        x = (column + rng.uniform(0.1, 0.9, len(column))) * width / across - 0.5
        y = (row + rng.uniform(0.1, 0.9, len(row))) * height / down - 0.5
        seen = ~_at(image.mask, x, y)
        return cls(x[seen], y[seen], level[seen], trial.flux[level[seen]])


def _searched_again(
    image: Image, stars: _Stars, threshold: float, fwhm: float, rng: np.random.Generator
) -> tuple[Detections, Sky, NDArray[np.float32]]:
    """Add the stars, with the noise of their own light, and do all over again."""
    light = image.data.copy()
    for stamp, left, low in _stamps(stars, fwhm):
        _add(light, rng.poisson(stamp * image.gain) / image.gain if image.gain else stamp, left, low)
    sky = measure_sky(light, image.mask)
    light -= sky.level
    return detect(light, sky.typical_noise, threshold, bad=image.bad), sky, light


def _count(trial: Trial, stars: _Stars, found: NDArray[np.bool_], crowded: NDArray[np.bool_]) -> None:
    size = len(LEVELS)
    trial.tried += np.bincount(stars.level, minlength=size)
    trial.found += np.bincount(stars.level[found], minlength=size)
    trial.tried_crowded += np.bincount(stars.level[crowded], minlength=size)
    trial.found_crowded += np.bincount(stars.level[crowded & found], minlength=size)


def _clean_ones(stars: _Stars, after: Detections, kron: Kron, match: NDArray[np.intp]) -> Floats:
    """Level, flux and error of the stars that were found without any flag, shape (3, stars)."""
    good = match >= 0
    good[good] = after.objects["flag"][match[good]] == 0
    return np.array([stars.level[good], kron.flux[match[good]], kron.error[match[good]]])


def _recovered(stars: _Stars, before: Detections, after: Detections, fwhm: float) -> NDArray[np.intp]:
    """Give each star's index in *after*, or -1 where it was lost.

    A star is found if a source lies within half its width, unless a brighter one was there before: then it is
    the old one that was found, and the star is lost in it.
    """
    index, near = _nearest(stars.x, stars.y, after.objects, fwhm / 2)
    old, was_there = _nearest(stars.x, stars.y, before.objects, fwhm / 2)
    if len(before.objects):
        near &= ~(was_there & (before.objects["flux"][old] > stars.flux))
    return np.where(near, index, -1)


def _nearest(
    x: Floats, y: Floats, objects: NDArray[Any], within: float
) -> tuple[NDArray[np.intp], NDArray[np.bool_]]:
    """Find the nearest object to each place, and whether it lies *within* so many pixels."""
    index, distance = np.zeros(len(x), dtype=np.intp), np.full(len(x), np.inf)
    if not len(objects):
        return index, distance <= within
    order = np.argsort(objects["y"])
    ys = objects["y"][order]
    first, last = np.searchsorted(ys, y - within), np.searchsorted(ys, y + within)
    for i in np.flatnonzero(last > first):
        members = order[first[i] : last[i]]
        away = np.hypot(objects["x"][members] - x[i], objects["y"][members] - y[i])
        best = int(away.argmin())
        index[i], distance[i] = members[best], away[best]
    return index, distance <= within


def _stamps(stars: _Stars, fwhm: float) -> Iterator[tuple[NDArray[np.float32], int, int]]:
    """Cut out each star's profile (Moffat 1969), with the place of its first pixel."""
    width = fwhm / 2 / math.sqrt(2 ** (1 / MOFFAT_BETA) - 1)
    half = math.ceil(5 * fwhm)
    step = np.arange(2 * half + 1)
    for x, y, flux in zip(stars.x, stars.y, stars.flux, strict=True):
        left, low = round(x) - half, round(y) - half
        squared = (step[None, :] + left - x) ** 2 + (step[:, None] + low - y) ** 2
        profile = flux * (MOFFAT_BETA - 1) / (math.pi * width**2) / (1 + squared / width**2) ** MOFFAT_BETA
        yield profile.astype(np.float32), left, low


def _add(data: NDArray[np.float32], stamp: NDArray[np.float32], left: int, low: int) -> None:
    x0, y0 = max(0, -left), max(0, -low)
    target = data[low + y0 : low + len(stamp), left + x0 : left + len(stamp)]
    target += stamp[y0 : y0 + target.shape[0], x0 : x0 + target.shape[1]]


def _at(flags: NDArray[np.bool_], x: Floats, y: Floats) -> NDArray[np.bool_]:
    """Look up the pixel at each place."""
    row = np.rint(y).astype(np.intp).clip(0, flags.shape[0] - 1)
    return np.asarray(flags[row, np.rint(x).astype(np.intp).clip(0, flags.shape[1] - 1)])


def _faintest(limit: float, fwhm: float) -> float:
    """Light of a star whose smoothed peak just reaches the threshold: that of a Gaussian of its width."""
    return limit * 2 * math.pi * (fwhm / 2.355) ** 2


def _stars_a_round(shape: tuple[int, ...], sources: int, fwhm: float) -> int:
    """A tenth of what is there, so as not to crowd it; or one in 30 widths' square where there is little."""
    return max(1, sources // 10, int(shape[0] * shape[1] / (30 * fwhm) ** 2))


def _crowded(covered: NDArray[np.bool_], fwhm: float) -> NDArray[np.bool_]:
    """Say where sources cover more than :data:`CROWDED` of a box of 12 widths."""
    half = min(round(6 * fwhm), (min(covered.shape) - 1) // 2)
    sums = np.pad(covered, half, mode="reflect") if half else covered.copy()
    sums = np.pad(sums.cumsum(0, dtype=np.int32).cumsum(1, dtype=np.int32), ((1, 0), (1, 0)))
    box = 2 * half + 1
    inside = sums[box:, box:] - sums[:-box, box:] - sums[box:, :-box] + sums[:-box, :-box]
    return np.asarray(inside > CROWDED * box**2)


def _lie_together(crowded: NDArray[np.bool_]) -> bool:
    """Whether the crowded places are nearer one another than places strewn over the image would be."""
    rows, columns = np.nonzero(crowded[::4, ::4])
    if len(rows) < 10:
        return False
    spread = math.hypot(rows.std(), columns.std()) * 4
    strewn = math.hypot(*crowded.shape) / math.sqrt(12)
    return spread < 0.75 * strewn
