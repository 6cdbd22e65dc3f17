"""Paints the demo's skies: a mosaic of twelve CCDs from a fixed seed, and the small files that go with it.

Nothing is downloaded. ``python demo/sky.py OUTDIR`` writes

=====================  =======================================================================
``mosaic.fits.fz``     twelve RICE-compressed CCDs of 2048×2048 with about 5,000 sources each
``mosaic-truth.ecsv``  what was painted: the right answer for every source
``m13.fits``           the real sky-survey frame of Messier 13 that ships in astropy
``broken.fits``        a sound header whose data were cut short, as a broken download leaves it
``notes.fits``         not FITS at all: a text file that was given the wrong name
=====================  =======================================================================
"""

from __future__ import annotations

import argparse
import shutil
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from importlib.resources import as_file, files
from pathlib import Path

import numpy as np
from astropy.io import fits
from astropy.table import Table, vstack
from astropy.wcs import WCS
from numpy.typing import NDArray

Report = Callable[[int, int, str], None]
Floats = NDArray[np.float64]

CENTRE = (250.4226, 36.4602)  # RA, Dec in degrees (ICRS): the demo's target, Messier 13
COLUMNS = 4  # CCDs side by side; the rows follow from their number
GAP = 100  # pixels between neighbouring CCDs
PIXEL_SCALE = 0.262  # arcsec per pixel, as DECam's
ROTATION = 1.5  # degrees: no camera hangs quite straight
GAIN = 1.6  # electrons per ADU
READ_NOISE = 7.0  # electrons
SKY = 300.0  # ADU per pixel at the middle of a CCD
SATURATE = 60_000.0  # ADU
FULL = 62_000.0  # ADU: where the converter stops, a little above what the header admits
ZERO_POINT = 28.0  # the magnitude of a source of 1 ADU
BRIGHTEST, FAINTEST, SLOPE = 14.5, 20.2, 0.16  # magnitudes; log10 of the counts per magnitude
GALAXIES = 0.2  # the fraction of the sources that are galaxies
BETA = 3.0  # wings of the Moffat profile (Moffat 1969); 3 is usual for seeing
UNITS = {"x": "pix", "y": "pix", "ra": "deg", "dec": "deg", "flux": "adu", "mag": "mag", "fwhm": "pix"}
STAMPS = (8, 16, 32, 64)  # half sides of the cutouts, pixels


@dataclass(frozen=True)
class Sources:
    """What is painted on one CCD; every field has shape (n,); positions count from 0, in pixels."""

    x: Floats
    y: Floats
    magnitude: Floats
    fwhm: Floats
    axis_ratio: Floats
    angle: Floats
    galaxy: NDArray[np.bool_]

    @property
    def flux(self) -> Floats:
        """The light of the whole profile, ADU."""
        return np.asarray(10 ** (0.4 * (ZERO_POINT - self.magnitude)))


def paint_mosaic(
    path: Path | str,
    truth_path: Path | str,
    *,
    seed: int = 20261124,
    ccds: int = 12,
    side: int = 2048,
    sources: int = 5000,
    report: Report | None = None,
) -> None:
    """Paint a mosaic camera's exposure and write down what is on it.

    :param path: the FITS file to write: an empty primary HDU, then one RICE-compressed extension a CCD
    :param truth_path: the ECSV table to write: ccd, x, y (FITS convention: the first pixel's centre is 1, 1),
        ra, dec (ICRS, deg), flux (ADU), mag, fwhm (pixels), kind
    :param seed: the same seed paints the same sky
    :param ccds: number of CCDs, laid out four in a row
    :param side: pixels along each side of a CCD
    :param sources: stars and galaxies on each CCD
    :param report: called with (CCDs done, CCDs in all, words)
    """
    fits.PrimaryHDU(header=_exposure(ccds)).writeto(path, overwrite=True)
    truths = []
    for ccd in range(1, ccds + 1):
        if report:
            report(ccd - 1, ccds, f"painting CCD {ccd} of {ccds}")
        truths.append(_paint_ccd(path, ccd, ccds, side, sources, np.random.default_rng([seed, ccd])))
    vstack(truths).write(truth_path, format="ascii.ecsv", overwrite=True)


def _exposure(ccds: int) -> fits.Header:
    """What the whole exposure has in common."""
    header = fits.Header()
    header["OBJECT"] = ("M13 field, painted", "not a real observation")
    header["INSTRUME"] = "Nightshift demo mosaic"
    header["DATE-OBS"] = ("2026-06-21T22:14:05.0", "start of the exposure, UTC")
    header["EXPTIME"] = (120.0, "[s]")
    header["FILTER"] = "r"
    header["NCCD"] = (ccds, "number of CCDs")
    return header


def _paint_ccd(
    path: Path | str, ccd: int, ccds: int, side: int, number: int, rng: np.random.Generator
) -> Table:
    sources = _scatter(number, side, rng)
    light = _sky(side)
    _add_sources(light, sources)
    header = _header(ccd, ccds, side)
    with fits.open(path, mode="append") as hdus:
        hdus.append(fits.CompImageHDU(_expose(light, rng), header, compression_type="RICE_1"))
    return _truth(ccd, sources, WCS(header))


def _scatter(number: int, side: int, rng: np.random.Generator) -> Sources:
    """Strew sources evenly, with counts that rise by :data:`SLOPE` dex a magnitude."""
    low, high = 10 ** (SLOPE * BRIGHTEST), 10 ** (SLOPE * FAINTEST)
    magnitude = np.log10(rng.uniform(low, high, number)) / SLOPE
    glaring = number // 1000
    magnitude[:glaring] = rng.uniform(11.0, 12.9, glaring)  # a few that saturate
    galaxy = rng.random(number) < GALAXIES
    galaxy[:glaring] = False
    seeing = 3.2  # pixels
    return Sources(
        x=rng.uniform(-0.5, side - 0.5, number),
        y=rng.uniform(-0.5, side - 0.5, number),
        magnitude=magnitude,
        fwhm=np.where(galaxy, np.hypot(seeing, rng.uniform(1.5, 6.0, number)), seeing),
        axis_ratio=np.where(galaxy, rng.uniform(0.4, 1.0, number), 1.0),
        angle=rng.uniform(0, np.pi, number),
        galaxy=galaxy,
    )


def _sky(side: int) -> NDArray[np.float32]:
    """A sky that is a twentieth brighter in one corner than in the other, as moonlight makes it."""
    ramp = np.linspace(-0.5, 0.5, side, dtype=np.float32)
    return np.asarray(SKY * (1 + 0.03 * ramp[:, None] + 0.02 * ramp[None, :]), dtype=np.float32)


def _add_sources(light: NDArray[np.float32], sources: Sources) -> None:
    """Add every source's profile on a cutout no larger than its light needs."""
    for half, members in _by_stamp(sources):
        for chunk in np.array_split(members, max(1, len(members) * half * half // 400_000)):
            column, row = _corners(sources, chunk, half)
            for stamp, i, j in zip(_profiles(sources, chunk, half, column, row), column, row, strict=True):
                _add_stamp(light, stamp, int(i), int(j))


def _by_stamp(sources: Sources) -> Iterator[tuple[int, NDArray[np.intp]]]:
    """Group the sources by the cutout on which all but a thousandth of the noise in a pixel is seen."""
    width = sources.fwhm / 2 / np.sqrt(2 ** (1 / BETA) - 1)
    central = sources.flux * (BETA - 1) / (np.pi * width**2 * sources.axis_ratio)
    reach = width * np.sqrt(np.maximum(central / 0.15, 1.0) ** (1 / BETA))
    size = np.searchsorted(STAMPS[:-1], reach)
    for index, half in enumerate(STAMPS):
        yield half, np.flatnonzero(size == index)


def _corners(
    sources: Sources, members: NDArray[np.intp], half: int
) -> tuple[NDArray[np.intp], NDArray[np.intp]]:
    column = np.rint(sources.x[members]).astype(np.intp) - half
    row = np.rint(sources.y[members]).astype(np.intp) - half
    return column, row


def _profiles(
    sources: Sources, members: NDArray[np.intp], half: int, column: NDArray[np.intp], row: NDArray[np.intp]
) -> NDArray[np.float32]:
    """Elliptical Moffat profiles, shape (len(members), 2·half + 1, 2·half + 1)."""
    step = np.arange(2 * half + 1)
    dx = (step[None, :] + (column - sources.x[members])[:, None])[:, None, :]
    dy = (step[None, :] + (row - sources.y[members])[:, None])[:, :, None]
    sine, cosine = np.sin(sources.angle[members]), np.cos(sources.angle[members])
    ratio, width = sources.axis_ratio[members], sources.fwhm[members] / 2 / np.sqrt(2 ** (1 / BETA) - 1)
    central = sources.flux[members] * (BETA - 1) / (np.pi * width**2 * ratio)
    sine, cosine, ratio, width, central = (v[:, None, None] for v in (sine, cosine, ratio, width, central))
    along, across = dx * cosine + dy * sine, (dy * cosine - dx * sine) / ratio
    return np.asarray(central / (1 + (along**2 + across**2) / width**2) ** BETA, dtype=np.float32)


def _add_stamp(light: NDArray[np.float32], stamp: NDArray[np.float32], column: int, row: int) -> None:
    """Add a cutout whose first pixel falls on (row, column), leaving out what lies beyond the edges."""
    left, low = max(0, -column), max(0, -row)
    target = light[row + low : row + len(stamp), column + left : column + len(stamp)]
    target += stamp[low : low + target.shape[0], left : left + target.shape[1]]


def _expose(light: NDArray[np.float32], rng: np.random.Generator) -> NDArray[np.uint16]:
    """Noise of light and read-out, then the converter: whole numbers that stop at :data:`FULL`.

    With some 500 electrons a pixel Poisson's distribution is Gauss's to a thousandth, and ten times faster.
    """
    noise = rng.standard_normal(light.shape, dtype=np.float32)
    noise *= np.sqrt(light / GAIN + (READ_NOISE / GAIN) ** 2)
    return np.asarray(np.clip(np.rint(light + noise), 0, FULL), dtype=np.uint16)


def _header(ccd: int, ccds: int, side: int) -> fits.Header:
    header = _pointing(ccd, ccds, side)
    header["EXTNAME"] = f"CCD{ccd:02d}"
    header["BUNIT"] = "adu"
    header["GAIN"] = (GAIN, "[electron/adu]")
    header["RDNOISE"] = (READ_NOISE, "[electron]")
    header["SATURATE"] = (SATURATE, "[adu]")
    header["EXPTIME"] = (120.0, "[s]")
    header["FILTER"] = "r"
    header["DATE-OBS"] = "2026-06-21T22:14:05.0"
    header["MAGZPT"] = (ZERO_POINT, "[mag] magnitude of 1 adu")
    return header


def _pointing(ccd: int, ccds: int, side: int) -> fits.Header:
    """One tangent plane for the whole camera: the CCDs differ in where its centre lies (CRPIX)."""
    across = min(COLUMNS, ccds)
    rows = -(-ccds // COLUMNS)
    place = np.array([(ccd - 1) % COLUMNS, (ccd - 1) // COLUMNS])
    step = side + GAP
    wcs = WCS(naxis=2)
    wcs.wcs.ctype = ["RA---TAN", "DEC--TAN"]
    wcs.wcs.crval = list(CENTRE)
    wcs.wcs.crpix = (side + 1) / 2 + ((np.array([across, rows]) - 1) / 2 - place) * step
    turn, scale = np.deg2rad(ROTATION), PIXEL_SCALE / 3600
    wcs.wcs.cd = scale * np.array([[-np.cos(turn), np.sin(turn)], [np.sin(turn), np.cos(turn)]])
    wcs.wcs.radesys = "ICRS"
    return wcs.to_header()


def _truth(ccd: int, sources: Sources, wcs: WCS) -> Table:
    ra, dec = wcs.all_pix2world(sources.x, sources.y, 0)
    kind = np.where(sources.galaxy, "galaxy", "star")
    table = Table(
        {
            "ccd": np.full(len(sources.x), ccd),
            "x": np.round(sources.x + 1, 4),
            "y": np.round(sources.y + 1, 4),
            "ra": np.round(ra, 8),
            "dec": np.round(dec, 8),
            "flux": np.round(sources.flux, 2),
            "mag": np.round(sources.magnitude, 4),
            "fwhm": np.round(sources.fwhm, 3),
            "kind": kind,
        }
    )
    for name, unit in UNITS.items():
        table[name].unit = unit
    return table


def write_m13(path: Path | str) -> None:
    """Copy the real frame of Messier 13 (300×300, from SkyView, in astropy's test data) to *path*."""
    frame = files("astropy.io.fits") / "hdu" / "compressed" / "tests" / "data" / "m13.fits"
    with as_file(frame) as source:
        shutil.copyfile(source, path)


def write_broken(path: Path | str) -> None:
    """Write an image whose header is sound and whose data stop half-way, as a broken download does."""
    light = _sky(512)
    rng = np.random.default_rng(7)
    _add_sources(light, _scatter(300, 512, rng))
    fits.PrimaryHDU(_expose(light, rng), _header(1, 1, 512)).writeto(path, overwrite=True)
    whole = Path(path).read_bytes()
    Path(path).write_bytes(whole[: len(whole) // 2])


def write_notes(path: Path | str) -> None:
    """Write an observer's notes under a name that promises FITS."""
    Path(path).write_text("hello\nSeeing 1.2 arcsec, thin cloud after midnight.\n", encoding="ascii")


def main() -> None:
    parser = argparse.ArgumentParser(description=paint_mosaic.__doc__.splitlines()[0])  # type: ignore[union-attr]
    parser.add_argument("outdir", type=Path)
    outdir: Path = parser.parse_args().outdir
    outdir.mkdir(parents=True, exist_ok=True)
    paint_mosaic(outdir / "mosaic.fits.fz", outdir / "mosaic-truth.ecsv")
    write_m13(outdir / "m13.fits")
    write_broken(outdir / "broken.fits")
    write_notes(outdir / "notes.fits")


if __name__ == "__main__":
    main()
