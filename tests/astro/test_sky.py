"""The demo's painted sky, and that what is painted is found again."""

from __future__ import annotations

import dataclasses
import io

import numpy as np
import pytest
from astropy.table import Table
from astropy.wcs import WCS

from tests.astro.skies import painter
from tom_nightshift.astro.science.catalogue import join_catalogues
from tom_nightshift.astro.science.images import images
from tom_nightshift.astro.science.sources import find_sources

SIDE, SOURCES = 512, 300


@pytest.fixture(scope="module")
def painted(tmp_path_factory):
    """A small mosaic as dense as the demo's: its file, its truth and its catalogue."""
    folder = tmp_path_factory.mktemp("sky")
    painter().paint_mosaic(folder / "m.fits.fz", folder / "truth.ecsv", ccds=3, side=SIDE, sources=SOURCES)
    truth = Table.read(folder / "truth.ecsv", format="ascii.ecsv")
    with (folder / "m.fits.fz").open("rb") as file:
        found = list(images(file, "m.fits.fz"))
    return (
        folder / "m.fits.fz",
        truth,
        found,
        join_catalogues(find_sources(i, artificial_stars=0) for i in found),
    )


def test_each_ccd_is_as_an_observer_would_have_it(painted):
    _, _, found, _ = painted
    assert [image.label for image in found] == ["CCD 1 of 3", "CCD 2 of 3", "CCD 3 of 3"]
    assert [image.name for image in found] == ["CCD01", "CCD02", "CCD03"]
    first = found[0]
    assert first.data.shape == (SIDE, SIDE)
    assert (first.gain, first.zero_point, first.zero_point_keyword) == (1.6, 28.0, "MAGZPT")
    assert all(key in first.header for key in ("SATURATE", "EXPTIME", "FILTER", "DATE-OBS", "RDNOISE"))


def test_the_same_seed_paints_the_same_sky(painted, tmp_path):
    path, _, _, _ = painted
    painter().paint_mosaic(tmp_path / "m.fits.fz", tmp_path / "t.ecsv", ccds=3, side=SIDE, sources=SOURCES)
    assert (tmp_path / "m.fits.fz").read_bytes() == path.read_bytes()


def test_the_ccds_do_not_overlap_on_the_sky(painted):
    _, _, found, _ = painted
    places = [image.wcs.all_pix2world([[SIDE / 2, SIDE / 2]], 0)[0] for image in found]
    step = (SIDE + 100) * 0.262 / 3600
    assert np.diff([ra for ra, _ in places]) * np.cos(np.deg2rad(36.46)) == pytest.approx(
        [-step, -step], rel=0.01
    )


def test_the_truth_agrees_with_the_header(painted):
    _, truth, found, _ = painted
    one = truth[truth["ccd"] == 2]
    assert len(one) == SOURCES
    x, y = WCS(found[1].header).all_world2pix(one["ra"], one["dec"], 1)
    np.testing.assert_allclose(x, one["x"], atol=0.001)
    np.testing.assert_allclose(y, one["y"], atol=0.001)
    np.testing.assert_allclose(one["mag"], 28 - 2.5 * np.log10(one["flux"]), atol=0.001)


def match(truth, table, within=1.5):
    """For each true source the index of the nearest found one of its CCD, and whether it is near enough."""
    away = np.hypot(truth["x"].data[:, None] - table["x"].data, truth["y"].data[:, None] - table["y"].data)
    away[truth["ccd"].data[:, None] != table["ccd"].data] = np.inf
    return away.argmin(axis=1), away.min(axis=1) < within


def test_nine_in_ten_of_the_bright_are_found(painted):
    _, truth, _, table = painted
    _, found = match(truth, table)
    assert found[truth["mag"] < 19].mean() > 0.9
    assert found[truth["mag"] < 17].mean() > 0.96


def test_next_to_nothing_is_found_that_was_not_painted(painted):
    _, truth, _, table = painted
    _, true = match(table, truth, within=3)
    assert true.mean() > 0.97


def test_places_and_magnitudes_are_right(painted):
    _, truth, _, table = painted
    index, found = match(truth, table)
    stars = found & (truth["mag"] < 17.5) & (truth["kind"] == "star") & (table["flags"][index] == 0)
    seen, true = table[index[stars]], truth[stars]
    assert len(seen) > 20
    assert np.median(np.hypot(seen["x"] - true["x"], seen["y"] - true["y"])) < 0.06
    assert np.median(np.hypot((seen["ra"] - true["ra"]) * 0.8, seen["dec"] - true["dec"])) * 3600 < 0.02
    assert np.median(seen["mag"] - true["mag"]) == pytest.approx(0.06, abs=0.06)  # Kron misses the wings


def test_some_stars_saturate_when_the_sky_is_as_full_as_the_demos():
    sky = painter()
    sources = sky._scatter(5000, 256, np.random.default_rng(1))
    assert 3 <= (sources.magnitude < 13).sum() <= 10
    glaring = dataclasses.replace(sources, x=np.full(5000, 100.0), y=np.full(5000, 100.0))
    light = np.full((256, 256), 300.0, dtype=np.float32)
    sky._add_sources(light, glaring)
    assert sky._expose(light, np.random.default_rng(2)).max() == 62_000


def test_progress_is_told(tmp_path):
    said = []
    painter().paint_mosaic(
        tmp_path / "m.fits",
        tmp_path / "t.ecsv",
        ccds=2,
        side=64,
        sources=5,
        report=lambda *step: said.append(step),
    )
    assert said == [(0, 2, "painting CCD 1 of 2"), (1, 2, "painting CCD 2 of 2")]


def test_m13_is_copied_as_astropy_ships_it(tmp_path):
    painter().write_m13(tmp_path / "m13.fits")
    (image,) = images(io.BytesIO((tmp_path / "m13.fits").read_bytes()), "m13.fits")
    assert image.data.shape == (300, 300)
    assert image.wcs is not None
