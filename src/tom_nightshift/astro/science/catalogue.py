"""Catalogues: tables of sources that can be published, and the files they are written to."""

from __future__ import annotations

import io
from collections.abc import Iterable, Mapping, Sequence
from typing import Any, BinaryIO

import numpy as np
import sep
from astropy.coordinates import ICRS, SkyCoord
from astropy.table import Table, vstack
from astropy.wcs.utils import proj_plane_pixel_scales, wcs_to_celestial_frame
from numpy.typing import NDArray

from tom_nightshift.astro.science import headers, units
from tom_nightshift.astro.science.columns import COLUMNS, COUNTS, Column
from tom_nightshift.astro.science.images import Image
from tom_nightshift.astro.science.remarks import complete_to, remarks

Arrays = Mapping[str, NDArray[Any]]

LABELLED = 1000  # up to so many sources a region file has their numbers; more hide the sky


def make_catalogue(image: Image, measured: Arrays, facts: Mapping[str, Any], threshold: float) -> Table:
    """Turn what was measured into a table in which every column has its unit and definition.

    :param image: where it was measured
    :param measured: arrays of shape (n,) as from :func:`~.photometry.measure`, positions counted from 0
    :param facts: what else is known of the image, for ``meta["ccds"]``
    :param threshold: of the detection, in units of the background's noise
    :returns: the columns of :data:`~.columns.COLUMNS`; ``meta`` holds what was assumed, and remarks on trust
    """
    system = _system(image)
    unit = units.unit(image.header)
    table = _table(_completed(image, measured), _words(image, system), unit)
    record = {
        "label": image.label,
        "name": image.name,
        "sources": len(table),
        "gain": image.gain,
        "unit": unit,
        "is_calibrated": units.counts(image.header) is None,
        "zero_point": image.zero_point,
        "blank_pixels": int(image.bad.sum()),
        "saturated_pixels": int(image.saturated.sum()),
        "coordinates": system,
        "pixel_scale_arcsec": _scale(image),
        "not_linear": headers.not_linear(image.header),
        "warnings": list(image.warnings),
        **facts,
    }
    table.meta |= {
        "software": f"TOM Nightshift, SEP {sep.__version__}",
        "threshold": f"{threshold:g} times the noise of the background",
        "coordinates": f"ICRS, from {system}" if image.wcs and not system.startswith("ICRS") else system,
        "flux_errors": _errors(image),
        "magnitudes": _magnitudes(image),
        "ccds": [record],
    }
    table.meta["remarks"] = remarks(table)
    return table


def join_catalogues(tables: Iterable[Table]) -> Table:
    """Put the catalogues of a file's images together, numbered anew, with remarks on the whole.

    :raises ValueError: there is no table at all
    """
    parts = list(tables)
    if not parts:
        raise ValueError("There is no catalogue to join.")
    ccds = [facts for part in parts for facts in part.meta["ccds"]]
    whole = vstack(parts, metadata_conflicts="silent") if len(parts) > 1 else parts[0].copy()
    for name in whole.colnames:  # where CCDs differ in their words, those of the first stand
        whole[name].description = parts[0][name].description
    whole["number"][:] = np.arange(1, len(whole) + 1)
    whole.meta = {**parts[0].meta, "ccds": ccds}
    whole.meta["remarks"] = remarks(whole)
    return whole


def write_ecsv(table: Table, file: BinaryIO) -> None:
    """Write the catalogue as ECSV (Astropy APE 6): text that keeps units, definitions and remarks."""
    with _as_text(file) as text:
        table.write(text, format="ascii.ecsv")


def write_ds9(table: Table, file: BinaryIO) -> None:
    """Write a region file for DS9, one shape a source.

    Sources with coordinates become circles on the sky (ICRS) of twice the half-light radius; the others
    ellipses in image coordinates, of three standard deviations.
    """
    with _as_text(file) as text:
        text.write("# Region file format: DS9 version 4.1\nglobal color=green width=1\n")
        on_sky = np.isfinite(table["ra"])
        for system, part, shapes in (("icrs", table[on_sky], _circles), ("image", table[~on_sky], _ellipses)):
            if len(part):
                text.write(f"{system}\n")
                text.writelines(
                    f"{shape}{label}\n" for shape, label in zip(shapes(part), _labels(part), strict=True)
                )


def summary(table: Table) -> dict[str, str]:
    """Say the catalogue in a few plain facts, for a page: name → words."""
    ccds: Sequence[Mapping[str, Any]] = table.meta["ccds"]
    where = f" in {len(ccds)} CCDs" if len(ccds) > 1 else ""
    facts = {"Sources": f"{len(table):,}{where}, {table.meta['threshold']} or brighter"}
    widths = [facts["seeing"] for facts in ccds if facts["seeing"]]
    if widths:
        scale = ccds[0]["pixel_scale_arcsec"]
        width = float(np.median(widths))
        facts["Sharpness"] = f"FWHM {width:.2f} pixels" + (f" ({width * scale:.2f}″)" if scale else "")
    if limit := complete_to(ccds, 0.9) or complete_to(ccds, 0.5):
        part = "90 %" if complete_to(ccds, 0.9) else "50 %"
        zero = ccds[0]["zero_point"]
        faint = f"magnitude {zero - 2.5 * np.log10(limit):.1f}" if zero else _light(limit, ccds[0]["unit"])
        facts["Completeness"] = f"{part} at {faint}, by artificial stars"
    if len(table):
        facts["Flagged"] = f"{np.mean(table['flags'] > 0):.0%}"
    return facts | {"Coordinates": table.meta["coordinates"], "Magnitudes": table.meta["magnitudes"]}


def _completed(image: Image, measured: Arrays) -> dict[str, NDArray[Any]]:
    """Add what follows from the measurements; brightest first; positions as FITS counts them."""
    order = np.argsort(-np.nan_to_num(measured["flux_kron"], nan=-np.inf), kind="stable")
    columns = {name: np.asarray(values)[order] for name, values in measured.items()}
    ra, dec = _sky_places(image, columns["x"], columns["y"])
    flux, error = columns["flux_kron"], columns["flux_kron_error"]
    with np.errstate(all="ignore"):
        magnitude = np.where(flux > 0, (image.zero_point or 0) - 2.5 * np.log10(flux), np.nan)
        magnitude_error = np.where(flux > 0, 2.5 / np.log(10) * error / flux, np.nan)
    return columns | {
        "number": np.arange(1, len(order) + 1),
        "ccd": np.full(len(order), image.number),
        "x": columns["x"] + 1,
        "y": columns["y"] + 1,
        "ra": ra,
        "dec": dec,
        "mag": magnitude,
        "mag_error": magnitude_error,
        "fwhm_arcsec": columns["fwhm"] * (_scale(image) or np.nan),
    }


def _sky_places(
    image: Image, x: NDArray[np.float64], y: NDArray[np.float64]
) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    """ICRS coordinates in degrees of places counted from 0; NaN without a WCS."""
    if image.wcs is None or not len(x):
        return np.full(len(x), np.nan), np.full(len(x), np.nan)
    first, second = image.wcs.all_pix2world(x, y, 0)
    if image.wcs.wcs.lng == 1:  # the header names the latitude first
        first, second = second, first
    places = SkyCoord(first, second, unit="deg", frame=wcs_to_celestial_frame(image.wcs)).transform_to(ICRS())
    return places.ra.deg, places.dec.deg


def _table(columns: Arrays, words: Mapping[str, str], unit: str) -> Table:
    table = Table()
    for column in COLUMNS:
        table[column.name] = _written(columns[column.name], column)
        table[column.name].unit = unit if column.unit == COUNTS else column.unit
        text = column.description
        table[column.name].description = text.format(**words) if "{" in text else text
    return table


def _written(values: NDArray[Any], column: Column) -> NDArray[Any]:
    """Round to the digits that mean something: it halves the file."""
    if column.digits is None:
        return values.astype(np.int32)
    if column.decimals:
        return np.round(values.astype(np.float64), column.digits)
    with np.errstate(all="ignore"):
        step = 10.0 ** (np.floor(np.log10(np.abs(values))) - column.digits + 1)
        return np.where(values == 0, 0, np.rint(values / step) * step).astype(np.float32)


def _system(image: Image) -> str:
    if image.wcs:
        return headers.system(image.header, image.wcs)
    if headers.NO_COORDINATES in image.warnings:
        return "no coordinates in the header"
    return "none: those in the header cannot be used"


def _light(amount: float, unit: str) -> str:
    return f"{amount:,.0f} counts" if unit in (units.ADU, "ct") else f"{amount:,.4g} {unit}"


def _words(image: Image, system: str) -> dict[str, str]:
    return {"coordinates": f"from {system}", "errors": _errors(image), "magnitudes": _magnitudes(image)}


def _errors(image: Image) -> str:
    if image.gain:
        return "sky noise and photon noise"
    if units.counts(image.header) is None:
        return "sky noise only, as the image is not in counts"
    return "sky noise only, as the header has no gain"


def _magnitudes(image: Image) -> str:
    if image.zero_point is None:
        return "instrumental: -2.5 log10(flux)"
    return f"{image.zero_point:g} - 2.5 log10(flux), zero point from {image.zero_point_keyword}"


def _scale(image: Image) -> float | None:
    """Arcseconds per pixel, the geometric mean of both directions."""
    return float(np.sqrt(np.prod(proj_plane_pixel_scales(image.wcs)))) * 3600 if image.wcs else None


def _circles(table: Table) -> list[str]:
    scale = np.asarray(table["fwhm_arcsec"] / table["fwhm"])
    usual = np.nanmedian(scale) if np.isfinite(scale).any() else 1.0
    radius = 2 * np.nan_to_num(np.asarray(table["half_light_radius"]), nan=2.0) * usual
    rows = zip(table["ra"].tolist(), table["dec"].tolist(), radius.tolist(), strict=True)
    return [f'circle({ra:.7f},{dec:.7f},{r:.2f}")' for ra, dec, r in rows]


def _ellipses(table: Table) -> list[str]:
    rows = zip(*(table[name].tolist() for name in ("x", "y", "a", "b", "theta")), strict=True)
    return [f"ellipse({x:.2f},{y:.2f},{3 * a:.2f},{3 * b:.2f},{theta:.1f})" for x, y, a, b, theta in rows]


def _labels(table: Table) -> list[str]:
    return [f" # text={{{n}}}" if len(table) <= LABELLED else "" for n in table["number"].tolist()]


class _as_text:  # noqa: N801
    """A text view of a file of bytes, which stays open."""

    def __init__(self, file: BinaryIO) -> None:
        self.text = io.TextIOWrapper(file, encoding="utf-8", newline="\n", write_through=True)

    def __enter__(self) -> io.TextIOWrapper:
        return self.text

    def __exit__(self, *_: object) -> None:
        self.text.detach()
