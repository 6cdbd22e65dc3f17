"""The catalogue's columns: names, units, definitions, and how many digits are worth writing."""

from __future__ import annotations

from dataclasses import dataclass

from tom_nightshift.astro.science.photometry import APERTURES

COUNTS = "counts"
"""Stands for the image's own unit until the image is known."""

FLAGS = (
    "Sum of: 1 blended with a neighbour when detected; 2 cut by the edge of the image; 4 too many parts to "
    "separate them all; 8 its shape could not be measured; 16 an aperture reaches over the edge; 32 an "
    "aperture holds bad pixels or a neighbour's, which were replaced by the source's mean; 64 every pixel of "
    "an aperture is bad; 128 no positive light in the Kron aperture; 256 saturated: its light is a lower "
    "limit. 0: nothing amiss."
)


@dataclass(frozen=True)
class Column:
    """A column of the catalogue."""

    name: str
    unit: str | None
    """As astropy writes it; None for what has no dimension; :data:`COUNTS` for light."""

    description: str
    digits: int | None = None
    """Significant digits; or, where `decimals` is set, those after the point; None for whole numbers."""

    decimals: bool = False


def _aperture_columns() -> list[Column]:
    return [
        column
        for radius in APERTURES
        for column in (
            Column(f"flux_{radius}px", COUNTS, f"Light within {radius} pixels, with that of neighbours", 6),
            Column(f"flux_{radius}px_error", COUNTS, f"Standard error of flux_{radius}px: {{errors}}", 4),
        )
    ]  # fmt: skip


COLUMNS = (
    Column("number", None, "Running number; within a CCD the brightest source comes first"),
    Column("ccd", None, "Number of the image within the file, from 1"),
    Column("x", "pix", "Position along the row, FITS (first pixel centre is 1), windowed", 4, True),
    Column("y", "pix", "Position along the column, FITS (first pixel centre is 1), windowed", 4, True),
    Column("x_error", "pix", "Standard error of the barycentre along x from the noise", 3),
    Column("y_error", "pix", "Standard error of the barycentre along y from the noise", 3),
    Column("ra", "deg", "Right ascension, ICRS ({coordinates})", 7, True),
    Column("dec", "deg", "Declination, ICRS ({coordinates})", 7, True),
    Column("flux_kron", COUNTS, "Light within 2.5 Kron radii (Kron 1980) above the background", 6),
    Column("flux_kron_error", COUNTS, "Standard error of flux_kron: {errors}", 4),
    Column("mag", "mag", "Magnitude of flux_kron: {magnitudes}", 4, True),
    Column("mag_error", "mag", "Standard error of mag, without that of the zero point", 4, True),
    *_aperture_columns(),
    Column("fwhm", "pix", "Full width at half maximum: a Gaussian fitted to the core", 4),
    Column("fwhm_arcsec", "arcsec", "The same on the sky, by the mean pixel scale", 4),
    Column("half_light_radius", "pix", "Radius of the circle that holds half of flux_kron", 4),
    Column("radius_20", "pix", "Radius of the circle that holds 20 % of flux_kron", 4),
    Column("radius_90", "pix", "Radius of the circle that holds 90 % of flux_kron", 4),
    Column("kron_radius", None, "Kron radius in units of a and b; 1.4 is the least that is used", 4),
    Column("a", "pix", "Standard deviation of the detected light along its longer axis", 4),
    Column("b", "pix", "Standard deviation of the detected light along its shorter axis", 4),
    Column("theta", "deg", "Angle of the longer axis from x towards y", 2, True),
    Column("peak", COUNTS, "Brightest pixel, background subtracted", 6),
    Column("background", COUNTS, "Background at the source, already subtracted", 6),
    Column("pixels", None, "Number of pixels above the threshold"),
    Column("flags", None, FLAGS),
)  # fmt: skip
