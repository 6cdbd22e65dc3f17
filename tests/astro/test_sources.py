"""One image becomes one catalogue."""

from __future__ import annotations

import dataclasses

import numpy as np
import pytest
import sep

from tests.astro.skies import FWHM, NOISE, painter, pointing, primary, sky, stars
from tom_nightshift.astro.science.images import images
from tom_nightshift.astro.science.sources import find_sources
from tom_nightshift.exceptions import TaskError


def image_of(data=None, **keywords):
    (image,) = images(primary(sky() if data is None else data, pointing(**keywords)), "x.fits")
    return image


def catalogue_of(data=None, *, artificial_stars=0, **keywords):
    return find_sources(image_of(data, **keywords), artificial_stars=artificial_stars)


def matched(table, truth):
    """The row nearest to each true place (counted from 0), and how far off it is."""
    away = np.hypot(table["x"] - 1 - truth[:, :1], table["y"] - 1 - truth[:, 1:2])
    return table[away.argmin(axis=1)], away.min(axis=1)


@pytest.fixture(scope="module")
def m13(tmp_path_factory):
    path = tmp_path_factory.mktemp("m13") / "m13.fits"
    painter().write_m13(path)
    with path.open("rb") as file:
        (image,) = images(file, "m13.fits")
    return image, find_sources(image, artificial_stars=800)


def test_every_star_is_found_where_it_is_in_the_fits_convention():
    table = catalogue_of()
    assert len(table) == 16
    assert matched(table, stars())[1].max() < 0.03


def test_light_is_measured_within_its_error():
    gain = 2.0
    found, _ = matched(catalogue_of(sky(gain=gain), GAIN=gain), stars())
    pulls = (found["flux_12px"] - 20_000) / found["flux_12px_error"]
    assert np.abs(pulls).max() < 4
    assert 0.5 < pulls.std() < 1.6
    assert np.abs(found["flux_kron"] / 20_000 - 1).max() < 0.05


def test_errors_hold_photon_noise_only_where_the_gain_is_known():
    without, with_gain = catalogue_of(), catalogue_of(GAIN=2.0)
    area = np.pi * 5**2
    np.testing.assert_allclose(without["flux_5px_error"], NOISE * np.sqrt(area), rtol=0.15)
    kron = np.hypot(without["flux_kron_error"], np.sqrt(without["flux_kron"] / 2.0))
    np.testing.assert_allclose(with_gain["flux_kron_error"], kron, rtol=0.05)
    photons = np.sqrt(NOISE**2 * area + with_gain["flux_5px"] / 2.0)
    np.testing.assert_allclose(with_gain["flux_5px_error"], photons, rtol=0.1)


def test_sizes_are_those_of_the_stars():
    table = catalogue_of()
    np.testing.assert_allclose(table["fwhm"], FWHM, rtol=0.06)
    np.testing.assert_allclose(table["half_light_radius"], FWHM / 2, rtol=0.12)
    assert table.meta["ccds"][0]["seeing"] == pytest.approx(FWHM, rel=0.03)


def test_blank_pixels_are_no_sources_and_taint_their_neighbours():
    data = sky()
    x, y, _ = stars()[5]
    data[int(y) + 3, int(x) : int(x) + 3] = np.nan
    data[120:136, 118:122] = np.nan
    table = catalogue_of(data)
    assert len(table) == 16
    nearest, _ = matched(table, stars()[5:6])
    assert nearest["flags"][0] & sep.APER_HASMASKED
    others = table[table["number"] != nearest["number"][0]]
    assert (others["flags"] == 0).all()


def test_blank_pixels_are_no_sources_above_a_negative_background():
    data = sky() - 1000
    data[100:110, 100:110] = np.nan  # what stands in for them is 0, far above this sky
    assert len(catalogue_of(data)) == 16


def test_nan_around_a_star_does_not_move_the_background():
    data = sky()
    data[:, :64] = np.nan
    table = catalogue_of(data)
    assert len(table) == 12
    assert np.abs(table["background"] - 200).max() < 3


def test_a_saturated_star_is_one_source_and_says_so():
    truth = stars()
    truth[6, 2] = 400_000.0
    data = np.minimum(sky(truth), 20_000)
    table = catalogue_of(data, SATURATE=19_999.0)
    assert len(table) == 16
    found, away = matched(table, truth)
    assert (found["flags"] & 256 > 0).tolist() == [n == 6 for n in range(16)]
    assert away[6] < 0.5


def test_m13_has_the_269_sources_that_plain_sep_finds(m13):
    image, table = m13
    background = sep.Background(image.data)
    plain = sep.extract(image.data - background, 3.0, err=background.globalrms)
    assert len(table) == len(plain) == 269
    np.testing.assert_allclose(np.sort(table["peak"]), np.sort(plain["peak"]), rtol=1e-5)


def test_m13_says_that_it_is_not_linear_and_its_core_incomplete(m13):
    said = " ".join(m13[1].meta["remarks"])
    assert "Take the frame as not linear: SkyView resampled it" in said
    assert "Its core is incomplete: of artificial stars" in said
    assert "the errors hold sky noise only" in said
    assert "magnitudes are instrumental" in said
    assert "assumed: the header has no RADESYS; EQUINOX 2000" in said


def test_artificial_stars_tell_the_depth_of_an_empty_sky():
    table = catalogue_of(artificial_stars=400, GAIN=2.0)
    trial = table.meta["ccds"][0]["artificial_stars"]
    part = np.array(trial["found"]) / trial["tried"]
    assert part[0] < 0.1
    assert (part[-4:] > 0.9).all()
    assert table.meta["ccds"][0]["error_factor"] == pytest.approx(1.0, abs=0.35)
    assert not any("incomplete" in words for words in table.meta["remarks"])


def test_the_same_image_gives_the_same_catalogue():
    first, second = catalogue_of(artificial_stars=50), catalogue_of(artificial_stars=50)
    assert first.meta["ccds"] == second.meta["ccds"]
    np.testing.assert_array_equal(first["flux_kron"], second["flux_kron"])


def test_a_higher_threshold_finds_fewer():
    data = sky(np.vstack([stars(300.0)[:8], stars(20_000.0)[8:]]))
    assert len(find_sources(image_of(data), threshold=3, artificial_stars=0)) > 8
    assert len(find_sources(image_of(data), threshold=30, artificial_stars=0)) == 8


@pytest.mark.parametrize(
    "data",
    [
        np.full((64, 64), 7.0),
        np.zeros((3, 200)),
        np.random.default_rng(1).normal(0, 1, (9, 9)),
        np.eye(64) * 0,
    ],
    ids=["flat", "strip", "tiny", "zero"],
)
def test_an_image_without_sources_gives_an_empty_catalogue(data):
    table = catalogue_of(data.astype(np.float32), artificial_stars=20)
    assert len(table) == 0
    assert "flux_kron" in table.colnames


def test_a_dead_image_gives_an_empty_catalogue():
    image = image_of()
    dead = dataclasses.replace(image, bad=np.ones_like(image.bad))
    assert len(find_sources(dead)) == 0


def test_limits_of_sep_are_raised_and_not_shown():
    y, x = np.mgrid[:256, :256]
    galaxy = sky(stars()[:0]) + 1000 * np.exp(-np.hypot(x - 100, y - 90) / 8)
    expected = len(catalogue_of(galaxy))
    limit = sep.get_extract_pixstack()
    sep.set_extract_pixstack(500)
    try:
        assert len(catalogue_of(galaxy)) == expected
        assert sep.get_extract_pixstack() > 500
    finally:
        sep.set_extract_pixstack(limit)


def test_what_cannot_be_told_apart_is_said(monkeypatch):
    def extract(*_, **__):
        raise Exception("object deblending overflow")

    monkeypatch.setattr(sep, "extract", extract)
    with pytest.raises(TaskError, match=r"cannot be told apart.*try a higher threshold"):
        catalogue_of()


def test_progress_only_rises_and_ends_at_all():
    said = []
    find_sources(image_of(), artificial_stars=100, report=lambda *step: said.append(step))
    done = [step[0] for step in said]
    assert done == sorted(done)
    assert said[-1][:2] == (100, 100)
    words = " ".join(step[2] for step in said)
    assert "measuring the background" in words
    assert "measuring 16 sources" in words
    assert "artificial stars" in words
