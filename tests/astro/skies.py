"""Made skies for the tests of the science: small, with a fixed seed, and with a known answer."""

from __future__ import annotations

import io
import sys
from importlib import util
from pathlib import Path
from types import ModuleType
from typing import Any

import numpy as np
from astropy.io import fits
from numpy.typing import NDArray

SIDE, FWHM, NOISE, LEVEL = 256, 3.0, 5.0, 200.0
ROOT = Path(__file__).parents[2]


def painter() -> ModuleType:
    """The demo's painter, which stands in no package."""
    spec = util.spec_from_file_location("demo_sky", ROOT / "demo" / "sky.py")
    assert spec
    assert spec.loader
    module = util.module_from_spec(spec)
    sys.modules["demo_sky"] = module  # dataclasses look their module up
    spec.loader.exec_module(module)
    return module


def stars(flux: float = 20_000.0) -> NDArray[np.float64]:
    """Places (counted from 0) and light of 16 isolated stars, shape (16, 3)."""
    rng = np.random.default_rng(3)
    rows, columns = np.divmod(np.arange(16), 4)
    x, y = 32 + 64 * columns + rng.uniform(-4, 4, 16), 32 + 64 * rows + rng.uniform(-4, 4, 16)
    return np.column_stack([x, y, np.full(16, flux)])


def sky(
    sources: NDArray[np.float64] | None = None, *, gain: float | None = None, seed: int = 1
) -> NDArray[Any]:
    """An image of Gaussian stars on a flat noisy background, shape (SIDE, SIDE), float32."""
    rng = np.random.default_rng(seed)
    y, x = np.mgrid[:SIDE, :SIDE]
    sigma = FWHM / 2.3548
    light = np.zeros((SIDE, SIDE))
    for sx, sy, flux in stars() if sources is None else sources:
        light += flux / (2 * np.pi * sigma**2) * np.exp(-((x - sx) ** 2 + (y - sy) ** 2) / (2 * sigma**2))
    if gain:
        light = rng.poisson(light * gain) / gain
    return np.asarray(LEVEL + light + rng.normal(0, NOISE, light.shape), dtype=np.float32)


def pointing(ra: float = 150.0, dec: float = 20.0, **more: Any) -> fits.Header:
    header = fits.Header()
    header["CTYPE1"], header["CTYPE2"] = "RA---TAN", "DEC--TAN"
    header["CRVAL1"], header["CRVAL2"] = ra, dec
    header["CRPIX1"], header["CRPIX2"] = SIDE / 2, SIDE / 2
    header["CDELT1"], header["CDELT2"] = -0.5 / 3600, 0.5 / 3600
    header.update(more)
    return header


def as_file(*hdus: Any) -> io.BytesIO:
    file = io.BytesIO()
    fits.HDUList(list(hdus)).writeto(file)
    file.seek(0)
    return file


def primary(data: NDArray[Any] | None = None, header: fits.Header | None = None) -> io.BytesIO:
    return as_file(fits.PrimaryHDU(sky() if data is None else data, header))
