"""Tables that can be published, and the files they are written to."""

from __future__ import annotations

import io
import re

import numpy as np
import pytest
from astropy.coordinates import FK4, FK5, SkyCoord
from astropy.io import fits
from astropy.table import Table

from tests.astro.skies import SIDE, as_file, pointing, primary, sky, stars
from tom_nightshift.astro.science.catalogue import join_catalogues, summary, write_ds9, write_ecsv
from tom_nightshift.astro.science.images import images
from tom_nightshift.astro.science.remarks import remarks
from tom_nightshift.astro.science.sources import find_sources

DIMENSIONLESS = {"number", "ccd", "kron_radius", "pixels", "flags"}


def catalogue(header=None, data=None, artificial_stars=0):
    (image,) = images(primary(data, header), "x.fits")
    return find_sources(image, artificial_stars=artificial_stars)


def mosaic(*headers):
    hdus = [fits.ImageHDU(sky(seed=n), header) for n, header in enumerate(headers, 1)]
    return [
        find_sources(image, artificial_stars=0)
        for image in images(as_file(fits.PrimaryHDU(), *hdus), "m.fits")
    ]


def test_every_column_has_a_definition_and_a_unit_unless_it_has_no_dimension():
    table = catalogue(pointing())
    for column in table.itercols():
        assert column.description, column.name
        assert "{" not in column.description
        assert (column.unit is None) == (column.name in DIMENSIONLESS), column.name


def test_columns_say_what_was_assumed():
    table = catalogue(pointing(MAGZPT=25.0, GAIN=2.0, RADESYS="ICRS"))
    assert table["mag"].description == "Magnitude of flux_kron: 25 - 2.5 log10(flux), zero point from MAGZPT"
    assert "photon noise" in table["flux_kron_error"].description
    bare = catalogue()
    assert "instrumental" in bare["mag"].description
    assert "sky noise only" in bare["flux_kron_error"].description
    np.testing.assert_allclose(table["mag"] - 25, bare["mag"], atol=1e-3)


def test_magnitudes_follow_the_light():
    table = catalogue(pointing(MAGZPT=25.0))
    np.testing.assert_allclose(table["mag"], 25 - 2.5 * np.log10(table["flux_kron"]), atol=2e-4)
    expected = 1.0857 * table["flux_kron_error"] / table["flux_kron"]
    np.testing.assert_allclose(table["mag_error"], expected, rtol=0.05, atol=1e-4)


@pytest.mark.parametrize(
    ("keywords", "frame"),
    [
        ({"RADESYS": "ICRS"}, "icrs"),
        ({"RADESYS": "FK5", "EQUINOX": 1975.0}, FK5(equinox="J1975")),
        ({"RADESYS": "FK4", "EQUINOX": 1950.0}, FK4(equinox="B1950")),
        ({"EQUINOX": 2000.0}, FK5(equinox="J2000")),
    ],
)
def test_coordinates_are_icrs_whatever_the_header_has(keywords, frame):
    table = catalogue(pointing(**keywords))
    centre = SkyCoord(150, 20, unit="deg", frame=frame).icrs
    found = SkyCoord(table["ra"], table["dec"], frame="icrs")
    away = centre.separation(found).arcsec
    expected = np.hypot(table["x"] - SIDE / 2, table["y"] - SIDE / 2) * 0.5
    np.testing.assert_allclose(away, expected, atol=0.02)


def test_east_is_left():
    table = catalogue(pointing(RADESYS="ICRS"))
    assert np.corrcoef(table["x"], table["ra"])[0, 1] < -0.99
    assert np.corrcoef(table["y"], table["dec"])[0, 1] > 0.99


def test_galactic_coordinates_and_swapped_axes_are_converted():
    header = pointing(CTYPE1="GLAT-TAN", CTYPE2="GLON-TAN", CRVAL1=30.0, CRVAL2=100.0)
    table = catalogue(header)
    centre = SkyCoord(100, 30, unit="deg", frame="galactic").icrs
    away = centre.separation(SkyCoord(table["ra"], table["dec"], frame="icrs")).arcsec
    assert away.max() < 0.5 * SIDE


def test_what_is_assumed_of_coordinates_is_said():
    assert catalogue(pointing(RADESYS="FK5", EQUINOX=1975.0)).meta["coordinates"] == "ICRS, from FK5 J1975"
    assumed = catalogue(pointing()).meta
    assert assumed["coordinates"] == "ICRS (assumed: the header has no RADESYS; no EQUINOX either)"
    assert np.isnan(catalogue()["ra"]).all()


def test_the_brightest_come_first():
    light = stars()
    light[:, 2] = np.linspace(5_000, 40_000, 16)
    table = catalogue(data=sky(light))
    assert table["number"].tolist() == list(range(1, 17))
    assert (np.diff(table["flux_kron"]) < 0).all()


def test_ecsv_comes_back_as_it_was_and_the_file_stays_open():
    table = catalogue(pointing(MAGZPT=25.0), artificial_stars=30)
    file = io.BytesIO()
    write_ecsv(table, file)
    assert not file.closed
    back = Table.read(file.getvalue().decode(), format="ascii.ecsv")
    assert back.colnames == table.colnames
    for name in table.colnames:
        np.testing.assert_array_equal(back[name], table[name])
        assert back[name].unit == table[name].unit
        assert back[name].description == table[name].description
    assert dict(back.meta) == dict(table.meta)


def test_light_in_small_units_keeps_its_digits():
    small, usual = (
        catalogue(data=sky() * np.float32(1e-12), artificial_stars=60),
        catalogue(artificial_stars=60),
    )
    np.testing.assert_allclose(small["flux_kron"] * 1e12, usual["flux_kron"], rtol=1e-3)
    assert min(small.meta["ccds"][0]["artificial_stars"]["flux"]) > 0
    assert "Completeness" in summary(small)


def test_an_empty_catalogue_can_be_written():
    table = catalogue(data=np.full((64, 64), 3.0, dtype=np.float32))
    for write in (write_ecsv, write_ds9):
        file = io.BytesIO()
        write(table, file)
        assert file.getvalue()
    assert summary(table)["Sources"].startswith("0, 3 times")


def test_ds9_has_a_circle_on_the_sky_for_each_source():
    table = catalogue(pointing(RADESYS="ICRS"))
    lines = regions(table)
    assert lines[0].startswith("# Region file format: DS9")
    assert lines[2] == "icrs"
    shape = re.compile(r'circle\(([\d.]+),(-?[\d.]+),([\d.]+)"\) # text=\{(\d+)\}')
    found = np.array([shape.findall(line)[0] for line in lines[3:]], dtype=float)
    np.testing.assert_allclose(found[:, 0], table["ra"])
    np.testing.assert_allclose(found[:, 1], table["dec"])
    assert ((found[:, 2] > 1) & (found[:, 2] < 3)).all()
    assert found[:, 3].tolist() == list(range(1, 17))


def test_ds9_has_an_ellipse_on_the_image_where_there_are_no_coordinates():
    lines = regions(catalogue())
    assert lines[2] == "image"
    assert len(lines) == 3 + 16
    assert all(line.startswith("ellipse(") for line in lines[3:])


def regions(table):
    file = io.BytesIO()
    write_ds9(table, file)
    return file.getvalue().decode().splitlines()


def test_catalogues_of_several_ccds_are_joined_and_numbered_anew():
    tables = mosaic(pointing(), pointing(ra=151.0), pointing(ra=152.0))
    whole = join_catalogues(tables)
    assert len(whole) == 48
    assert whole["number"].tolist() == list(range(1, 49))
    assert np.bincount(whole["ccd"]).tolist() == [0, 16, 16, 16]
    assert [facts["label"] for facts in whole.meta["ccds"]] == ["CCD 1 of 3", "CCD 2 of 3", "CCD 3 of 3"]
    assert tables[1]["number"][0] == 1
    assert whole["ra"].description == tables[0]["ra"].description
    assert summary(whole)["Sources"].startswith("48 in 3 CCDs")
    with pytest.raises(ValueError, match="no catalogue"):
        join_catalogues([])


def test_remarks_of_a_mosaic_say_each_thing_once_and_of_which_ccds():
    said = join_catalogues(mosaic(pointing(GAIN=2.0), pointing(), pointing(CDELT1=0.0))).meta["remarks"]
    assert said.count("No zero point in the header: magnitudes are instrumental, -2.5 log10(flux).") == 1
    assert "No gain in the header (CCD 2 of 3, CCD 3 of 3): the errors hold sky noise only." in said
    assert sum("cannot be used" in words and "(CCD 3 of 3)" in words for words in said) == 1


def test_remarks_count_what_was_masked():
    data = sky()
    data[0:2, 0:5] = np.nan
    data[100, 100] = 90_000
    said = remarks(catalogue(pointing(SATURATE=80_000.0), data))
    assert "10 blank or bad pixels were masked." in said
    assert any(words.startswith("1 saturated pixels were masked") for words in said)


@pytest.mark.parametrize(
    "keywords",
    [{"PLATEID": "01M8"}, {"SURVEY": "POSSII-F"}, {"TELESCOP": "UKST 1.2 m"}, {"ORIGIN": "DSS2 at STScI"}],
)
def test_a_scanned_plate_is_recognised_by_its_header(keywords):
    assert (
        catalogue(pointing(**keywords))
        .meta["remarks"][0]
        .startswith("The frame is not linear: it is a scanned")
    )


def test_a_ccd_frame_is_not_called_a_plate():
    header = pointing(TELESCOP="CTIO 4.0-m", SURVEY="DES", PLATESC=1.0)
    assert not any("linear" in words for words in catalogue(header).meta["remarks"])


@pytest.mark.parametrize(
    ("bunit", "unit"),
    [
        ("", "adu"),
        ("DN/s", "adu / s"),
        ("COUNTS", "ct"),
        ("ct s-1", "ct / s"),
        ("e-", "electron"),
        ("ELECTRONS/S", "electron / s"),
        ("e-/pixel", "electron"),
        ("MJy/sr", "MJy / sr"),
        ("erg/s/cm2/A", "erg/s/cm2/A"),
        ("nanomaggy {r}", "nanomaggy {r}"),
    ],
)
def test_light_has_the_unit_of_the_image(bunit, unit):
    assert str(catalogue(pointing(BUNIT=bunit))["flux_kron"].unit) == unit


def test_a_calibrated_image_has_no_gain_and_says_so():
    table = catalogue(pointing(BUNIT="MJy/sr", GAIN=2.0), sky() * np.float32(1e-4), artificial_stars=60)
    said = " ".join(remarks(table))
    assert "in MJy/sr and not in counts: a gain does not apply" in said
    assert "No gain in the header" not in said
    assert (table["flux_kron"] > 20 * table["flux_kron_error"]).all()
    assert table.meta["flux_errors"] == "sky noise only, as the image is not in counts"
    assert "MJy/sr, by artificial stars" in summary(table)["Completeness"]


def test_a_gain_by_which_nothing_could_have_been_seen_is_doubted():
    words = "the photon noise of every source is larger than its light"
    assert words in " ".join(remarks(catalogue(pointing(GAIN=2.0), sky() * np.float32(1e-6))))
    assert words not in " ".join(remarks(catalogue(pointing(GAIN=2.0))))


def test_coordinates_that_cannot_be_used_are_not_said_to_be_absent():
    assert summary(catalogue())["Coordinates"] == "no coordinates in the header"
    unusable = summary(catalogue(pointing(CDELT1=0.0)))["Coordinates"]
    assert unusable == "none: those in the header cannot be used"


def test_an_image_of_one_value_says_so():
    table = catalogue(data=np.full((64, 64), 7, dtype=np.float32))
    assert remarks(table)[0] == "Every pixel has the same value, 7."
    assert "Every pixel" not in " ".join(remarks(catalogue()))
