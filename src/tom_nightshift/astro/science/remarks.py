"""Sentences on how far a catalogue can be trusted, from what was measured and what the header says.

They are drawn from the facts that every catalogue carries in ``meta["ccds"]``, one record a CCD, and so can
be drawn anew for several CCDs together.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import Any

import numpy as np
from astropy.table import Table
from numpy.typing import NDArray

Facts = Mapping[str, Any]

FEW = 20  # stars or sources below which a fraction says nothing


def remarks(table: Table) -> list[str]:
    """Say in sentences what a user of this catalogue must know, the gravest first.

    :param table: from :func:`~.sources.find_sources` or :func:`~.catalogue.join_catalogues`
    """
    ccds: Sequence[Facts] = table.meta["ccds"]
    said: list[str] = []
    for ask in (
        _sameness,
        _linearity,
        _crowding,
        _flagged,
        _errors,
        _gain,
        _calibration,
        _photon_noise,
        _zero_point,
        _masked,
        _coordinates,
        _warnings,
    ):
        said += ask(ccds, table)
    return said


def recovered(ccds: Sequence[Facts]) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    """Give the light of each level of artificial stars and the part that was found, shape (levels,)."""
    trials = [facts["artificial_stars"] for facts in ccds if facts["artificial_stars"]]
    if not trials:
        return np.empty(0), np.empty(0)
    tried, found = _total(trials, "tried"), _total(trials, "found")
    return np.mean([trial["flux"] for trial in trials], axis=0), found / np.maximum(tried, 1)


def complete_to(ccds: Sequence[Facts], part: float) -> float | None:
    """Find the light above which at least *part* of the artificial stars was found, counts; None if never."""
    flux, fraction = recovered(ccds)
    below = np.flatnonzero(fraction < part)
    if not len(flux) or (len(below) and below[-1] == len(flux) - 1):
        return None
    if not len(below):
        return float(flux[0])
    low = int(below[-1])
    step = (part - fraction[low]) / (fraction[low + 1] - fraction[low])
    return float(flux[low] * (flux[low + 1] / flux[low]) ** step)


def _sameness(ccds: Sequence[Facts], table: Table) -> list[str]:
    values = {facts["every_pixel"] for facts in ccds if facts["every_pixel"] is not None}
    words = "Every pixel has the same value{where}" + (f", {min(values):g}." if len(values) == 1 else ".")
    return _some(ccds, lambda f: f["every_pixel"] is not None, words)


def _linearity(ccds: Sequence[Facts], table: Table) -> list[str]:
    return sorted({facts["not_linear"] for facts in ccds if facts["not_linear"]})


def _crowding(ccds: Sequence[Facts], table: Table) -> list[str]:
    """Compare artificial stars in crowded places with those elsewhere, by light that is found elsewhere."""
    trials = [facts["artificial_stars"] for facts in ccds if facts["artificial_stars"]]
    if not trials:
        return []
    tried, found = _total(trials, "tried_crowded"), _total(trials, "found_crowded")
    tried_else, found_else = _total(trials, "tried") - tried, _total(trials, "found") - found
    bright = found_else > 0.5 * np.maximum(tried_else, 1)
    if tried[bright].sum() < FEW or tried_else[bright].sum() < FEW:
        return []
    here, there = (f[bright].sum() / t[bright].sum() for f, t in ((found, tried), (found_else, tried_else)))
    if here > 0.75 * there:
        return []
    core = any(trial["crowded_core"] for trial in trials)
    part = np.mean([trial["crowded_part"] for trial in trials])
    return [
        f"{'Its core is' if core else 'Its crowded parts are'} incomplete: of artificial stars bright enough "
        f"to be found elsewhere ({there:.0%} were), only {here:.0%} were found in the crowded {part:.0%} of "
        "the frame."
    ]


def _flagged(ccds: Sequence[Facts], table: Table) -> list[str]:
    blended = np.mean(table["flags"] & 33 > 0) if len(table) >= FEW else 0.0
    if blended < 0.6:
        return []
    return [
        f"Crowded: {blended:.0%} of the sources are blended, or have a neighbour or bad pixels "
        "in their aperture (flags)."
    ]


def _errors(ccds: Sequence[Facts], table: Table) -> list[str]:
    factors = [facts["error_factor"] for facts in ccds if facts["error_factor"]]
    if not factors or np.median(factors) < 1.3:
        return []
    return [
        f"The errors of the light are about {np.median(factors):.1f} times as large as quoted: so much do "
        "artificial stars scatter (neighbours and, in resampled images, noise shared between pixels)."
    ]


def _gain(ccds: Sequence[Facts], table: Table) -> list[str]:
    words = "No gain in the header{where}: the errors hold sky noise only."
    return _some(ccds, lambda f: f["gain"] is None and not f["is_calibrated"], words)


def _calibration(ccds: Sequence[Facts], table: Table) -> list[str]:
    """The unit is quoted as the header has it, braces and all."""
    units = sorted({facts["unit"] for facts in ccds if facts["is_calibrated"]})
    names = " and ".join(units).replace("{", "{{").replace("}", "}}")
    words = f"The image is in {names} and not in counts{{where}}: a gain does not apply, the errors hold sky "
    words += "noise only, and light is the sum of the pixels' values."
    return _some(ccds, lambda f: f["is_calibrated"], words)


def _photon_noise(ccds: Sequence[Facts], table: Table) -> list[str]:
    """Whatever is detected stands out of the sky's noise: errors as large as the light come from the gain."""
    gains = [facts["gain"] for facts in ccds if facts["gain"]]
    if not gains or len(gains) < len(ccds) or not len(table):
        return []
    light, error = np.asarray(table["flux_kron"]), np.asarray(table["flux_kron_error"])
    if (light > error).any():
        return []
    return [
        f"By the gain in the header ({gains[0]:g} electrons per count) the photon noise of every source is "
        "larger than its light: either the gain or the unit of the image is wrong, and so are the errors."
    ]


def _zero_point(ccds: Sequence[Facts], table: Table) -> list[str]:
    words = "No zero point in the header{where}: magnitudes are instrumental, -2.5 log10(flux)."
    return _some(ccds, lambda f: f["zero_point"] is None, words)


def _masked(ccds: Sequence[Facts], table: Table) -> list[str]:
    blank, full = (sum(facts[key] for facts in ccds) for key in ("blank_pixels", "saturated_pixels"))
    said = [f"{blank:,} blank or bad pixels were masked."] if blank else []
    if full:
        said.append(
            f"{full:,} saturated pixels were masked; the light of sources that have some is a lower limit."
        )
    return said


def _coordinates(ccds: Sequence[Facts], table: Table) -> list[str]:
    systems = {facts["coordinates"] for facts in ccds if "assumed" in facts["coordinates"]}
    return [f"Coordinates were read as {system} and converted to ICRS." for system in sorted(systems)]


def _warnings(ccds: Sequence[Facts], table: Table) -> list[str]:
    """Each warning once, with the CCDs that have it unless all do."""
    said: list[str] = []
    for warning in dict.fromkeys(words for facts in ccds for words in facts["warnings"]):
        sentence = warning[0].upper() + warning[1:]
        said += _some(ccds, lambda f, w=warning: w in f["warnings"], sentence.replace("{", "{{") + "{where}.")  # type: ignore[misc]
    return said


def _some(ccds: Sequence[Facts], true_of: Callable[[Facts], bool], sentence: str) -> list[str]:
    """The sentence, if it is true of any CCD, saying of which unless it is true of all."""
    labels = [facts["label"] for facts in ccds if true_of(facts)]
    if not labels:
        return []
    if len(labels) == len(ccds):
        return [sentence.format(where="")]
    return [sentence.format(where=f" ({', '.join(labels[:4])}{' …' if len(labels) > 4 else ''})")]


def _total(trials: Sequence[Mapping[str, Any]], key: str) -> NDArray[np.float64]:
    return np.asarray(np.sum([trial[key] for trial in trials], axis=0, dtype=float))
