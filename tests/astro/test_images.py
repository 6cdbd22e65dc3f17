"""A FITS file becomes images; what is none is refused in a sentence."""

from __future__ import annotations

import gzip
import io
import re
import tracemalloc

import numpy as np
import pytest
from astropy.io import fits

from tests.astro.skies import as_file, painter, pointing, primary, sky
from tom_nightshift.astro.science.images import NoImage, count_images, images
from tom_nightshift.exceptions import TaskError


def one(file):
    (image,) = images(file, "x.fits")
    return image


def test_a_plain_image_is_float32_of_this_machine_in_rows():
    data = sky()
    image = one(primary(data.astype(">f8")))
    assert image.data.dtype == np.dtype(np.float32)
    assert image.data.dtype.isnative
    assert image.data.flags.c_contiguous
    np.testing.assert_allclose(image.data, data, rtol=1e-6)
    assert (image.label, image.number, image.name) == ("image", 1, "")


@pytest.mark.parametrize("kind", ["u2", "u4", "i2", "i4", "u1", "f4", "f8"])
def test_every_kind_of_number_is_read(kind):
    data = np.arange(200, dtype=kind).reshape(10, 20)
    np.testing.assert_array_equal(one(primary(data)).data, data.astype(float))


def test_scaled_integers_are_scaled():
    hdu = fits.PrimaryHDU(np.arange(100.0).reshape(10, 10))
    hdu.scale("int16", bscale=0.5, bzero=20)
    np.testing.assert_allclose(one(as_file(hdu)).data, np.arange(100.0).reshape(10, 10))


@pytest.mark.parametrize("kind", ["i2", "u2"])
def test_the_blank_value_of_integers_is_masked(kind):
    hdu = fits.PrimaryHDU(np.full((10, 10), 7, dtype=kind))
    hdu.data[3, 4] = 99
    hdu.header["BLANK"] = 99 - (32768 if kind == "u2" else 0)
    file = io.BytesIO()
    hdu.writeto(file)
    image = one(file)
    assert np.argwhere(image.bad).tolist() == [[3, 4]]


def test_what_is_not_finite_and_what_is_saturated_is_masked():
    data = sky()
    data[5, 6], data[7, 8], data[9, 10] = np.nan, np.inf, 50_000
    image = one(primary(data, pointing(SATURATE=40_000.0)))
    assert np.argwhere(image.bad).tolist() == [[5, 6], [7, 8]]
    assert image.saturated[9, 10]
    assert image.mask.sum() == 2 + image.saturated.sum()
    assert np.isfinite(image.data).all()


@pytest.mark.parametrize("method", ["RICE_1", "GZIP_1", "GZIP_2"])
def test_tile_compressed_images_are_read(method):
    data = sky().astype(np.int16)
    hdu = fits.CompImageHDU(data, pointing(GAIN=2.0), compression_type=method)
    image = one(as_file(fits.PrimaryHDU(), hdu))
    np.testing.assert_array_equal(image.data, data)
    assert image.gain == 2.0
    assert image.wcs is not None


def test_a_gzipped_file_is_read_and_left_open():
    file = io.BytesIO(gzip.compress(primary().getvalue()))
    assert one(file).data.shape == (256, 256)
    assert not file.closed


def test_extensions_come_one_by_one_with_the_primary_headers_words():
    main = fits.PrimaryHDU()
    main.header["GAIN"], main.header["FILTER"] = 3.0, "r"
    parts = [fits.ImageHDU(sky(seed=n), name=f"CCD{n}") for n in (1, 2, 3)]
    parts[1].header["GAIN"] = 4.0
    table = fits.BinTableHDU.from_columns([fits.Column("a", "E", array=[1.0])])
    file = as_file(main, parts[0], table, parts[1], fits.ImageHDU(), parts[2])
    assert count_images(file) == 3
    found = list(images(file, "x.fits"))
    assert [image.label for image in found] == ["CCD 1 of 3", "CCD 2 of 3", "CCD 3 of 3"]
    assert [image.name for image in found] == ["CCD1", "CCD2", "CCD3"]
    assert [image.gain for image in found] == [3.0, 4.0, 3.0]
    assert found[2].header["FILTER"] == "r"


@pytest.mark.parametrize("kind", [fits.ImageHDU, fits.CompImageHDU])
def test_memory_holds_only_a_few_images_however_many_come(kind):
    file = as_file(fits.PrimaryHDU(), *(kind(sky().repeat(2, 0).repeat(2, 1), pointing()) for _ in range(10)))
    one_image = 512 * 512 * 4
    tracemalloc.start()
    try:
        assert sum(1 for _ in images(file, "x.fits")) == 10
        assert tracemalloc.get_traced_memory()[1] < 7 * one_image
    finally:
        tracemalloc.stop()


def test_masks_and_errors_beside_an_image_are_no_pictures_and_the_mask_is_used():
    bad = np.zeros((256, 256), dtype=np.uint8)
    bad[10, 20] = 1
    file = as_file(
        fits.PrimaryHDU(), fits.ImageHDU(sky(), name="SCI"),
        fits.ImageHDU(bad, name="BPM"), fits.ImageHDU(sky(), name="ERR"),
    )  # fmt: skip
    assert count_images(file) == 1
    assert np.argwhere(one(file).bad).tolist() == [[10, 20]]


def test_a_cube_of_one_plane_is_an_image_and_one_of_many_is_none():
    assert one(primary(sky()[None, :, :])).data.shape == (256, 256)
    with pytest.raises(
        NoImage, match=r"no image in this file, nothing to extract \(a cube of 20 × 10 × 5 pixels"
    ):
        one(primary(np.zeros((5, 10, 20), dtype=np.float32)))


@pytest.mark.parametrize(
    ("keywords", "gain"),
    [
        ({"GAIN": 1.5}, 1.5),
        ({"GAIN": 100, "EGAIN": 0.8}, 0.8),
        ({"GAIN": "high"}, None),
        ({"GAIN": True}, None),
        ({"GAIN": -1.0}, None),
        ({"GAIN": 5.0, "BUNIT": "electron"}, 1.0),
        ({"GAIN": 2.0, "BUNIT": "adu/s", "EXPTIME": 30.0}, 60.0),
        ({"GAIN": 2.0, "BUNIT": "MJy/sr"}, None),
        ({"GAIN": 2.0, "BUNIT": "erg s-1 cm-2"}, None),
        ({}, None),
    ],
)
def test_the_gain_is_believed_only_if_it_is_one(keywords, gain):
    assert one(primary(header=pointing(**keywords))).gain == gain


@pytest.mark.parametrize(
    ("keywords", "zero_point"),
    [
        ({"MAGZPT": 25.3}, 25.3),
        ({"PHOTZP": 26}, 26.0),
        ({"MAGZPT": "n/a", "ZP": 24.0}, 24.0),
        ({"ZP": 0.0}, None),
    ],
)
def test_the_zero_point_is_believed_only_if_it_is_one(keywords, zero_point):
    assert one(primary(header=pointing(**keywords))).zero_point == zero_point


def test_broken_coordinates_are_said_and_do_no_harm():
    image = one(primary(header=pointing(CDELT1=0.0)))
    assert image.wcs is None
    assert "sky coordinates (WCS) in the header cannot be used" in image.warnings[0]
    assert "no sky coordinates" in one(primary()).warnings[0]


@pytest.mark.parametrize(
    "keywords",
    [
        {"CDELT1": 1.0, "CDELT2": 1.0},
        {"CDELT1": 2.0},
        {"CD1_1": 0.0, "CD1_2": 0.0, "CD2_1": 0.0, "CD2_2": 0.0},
    ],
)
def test_a_scale_that_no_camera_has_is_not_believed(keywords):
    image = one(primary(header=pointing(**keywords)))
    assert image.wcs is None
    assert "cannot be used" in image.warnings[0]


def test_the_widest_of_real_cameras_are_believed():
    assert one(primary(header=pointing(CDELT1=-0.17, CDELT2=0.17))).wcs is not None


def test_what_a_library_says_of_coordinates_is_said_without_its_source_code():
    (words,) = one(primary(header=pointing(CTYPE1="RA---XYZ", CTYPE2="DEC--TAN"))).warnings
    assert "cannot be used (" in words
    assert not re.search(r"ERROR|line \d|cextern|\.c\b|\(\)", words)


def test_a_header_that_can_be_mended_is_mended():
    content = primary(header=pointing(OBSERVER="x")).getvalue()
    broken = content.replace(b"OBSERVER= 'x       '", b"observer= 'x       '")
    assert broken != content
    assert one(io.BytesIO(broken)).data.shape == (256, 256)


def test_numbers_that_no_camera_counts_are_blank():
    data = sky().astype(float)
    data[1, 2], data[3, 4] = 1e300, -1e30
    image = one(primary(data))
    assert np.argwhere(image.bad).tolist() == [[1, 2], [3, 4]]
    assert any("numbers beyond 1e30 were taken for blank" in words for words in image.warnings)


def test_an_image_of_such_numbers_alone_is_not_said_to_be_nan():
    with pytest.raises(TaskError, match=r"no pixel of x\.fits can be used: numbers beyond 1e30"):
        one(primary(np.full((64, 64), 1e32)))


@pytest.mark.parametrize(("shape", "words"), [((800, 1), "1 × 800"), ((1, 800), "800 × 1")])
def test_an_image_one_pixel_wide_is_said_to_be_one(shape, words):
    with pytest.raises(NoImage, match=rf"is one pixel wide \({words} pixels\)"):
        count_images(primary(np.ones(shape, dtype=np.float32)))


def refused(content: bytes, name: str = "notes.fits") -> str:
    with pytest.raises(TaskError) as caught:
        list(images(io.BytesIO(content), name))
    return str(caught.value)


def test_text_is_refused_with_its_first_words(tmp_path):
    painter().write_notes(tmp_path / "notes.fits")
    words = refused((tmp_path / "notes.fits").read_bytes())
    assert words == 'notes.fits is not a FITS file: it starts with "hello"'


def test_a_web_page_and_other_bytes_are_refused():
    words = refused(b"\n<!DOCTYPE html>\n<html><body>Please log in")
    assert words.startswith(
        'notes.fits is not a FITS file: it starts with "<!DOCTYPE html>", so it looks like a web'
    )
    assert refused(b"\x89PNG\r\n\x1a\n\0\0").endswith("it starts with the bytes 89 50 4e 47")
    assert refused(b"a" * 100).endswith(f'"{"a" * 20}"')


def test_an_empty_file_is_refused():
    assert refused(b"").startswith("notes.fits is empty (0 bytes): ")


def test_a_file_that_was_cut_short_is_refused_before_any_work(tmp_path):
    painter().write_broken(tmp_path / "broken.fits")
    content = (tmp_path / "broken.fits").read_bytes()
    assert "broken.fits is cut short: its header promises at least" in refused(content, "broken.fits")
    parts = as_file(fits.PrimaryHDU(), fits.ImageHDU(sky()), fits.ImageHDU(sky())).getvalue()
    assert "cut short" in refused(parts[:-5760])
    packed = as_file(fits.PrimaryHDU(), fits.CompImageHDU(sky().astype("i2"))).getvalue()
    assert "cut short" in refused(packed[:-2880])
    with pytest.raises(TaskError, match="cut short"):
        count_images(io.BytesIO(parts[:-5760]))


def test_a_last_header_without_its_end_is_cut_short():
    parts = as_file(fits.PrimaryHDU(sky()), fits.ImageHDU(sky())).getvalue()
    second = parts.index(b"XTENSION")
    assert "cut short" in refused(parts[: second + 160])


def test_missing_padding_is_forgiven():
    content = primary().getvalue()
    data = 256 * 256 * 4
    assert one(io.BytesIO(content[: 2880 + data])).data.shape == (256, 256)


def test_a_header_cut_off_is_refused():
    assert "corrupt" in refused(primary().getvalue()[:1000])


def test_corrupt_tiles_are_refused():
    content = as_file(
        fits.PrimaryHDU(), fits.CompImageHDU(sky().astype("i2"), compression_type="GZIP_1")
    ).getvalue()
    half = len(content) // 2
    assert "is corrupt: its pixels cannot be read" in refused(
        content[:half] + b"\xa5" * (len(content) - half)
    )


def test_a_broken_gzip_is_refused():
    packed = gzip.compress(primary().getvalue())
    assert "is corrupt: it cannot be unpacked by gzip" in refused(packed[: len(packed) // 2])


def test_an_image_blank_everywhere_is_refused_but_a_dead_ccd_is_not():
    dead = np.full((64, 64), np.nan, dtype=np.float32)
    with pytest.raises(TaskError, match=r"x\.fits is blank: every pixel is NaN"):
        one(primary(dead))
    both = as_file(fits.PrimaryHDU(), fits.ImageHDU(dead), fits.ImageHDU(sky()))
    assert [image.blank for image in images(both, "x.fits")] == [True, False]
    with pytest.raises(TaskError, match="blank"):
        list(images(as_file(fits.PrimaryHDU(), fits.ImageHDU(dead), fits.ImageHDU(dead)), "x.fits"))


def test_a_sound_file_without_an_image_is_told_apart():
    table = fits.BinTableHDU.from_columns([fits.Column("a", "E", array=[1.0])])
    for file in (as_file(fits.PrimaryHDU()), as_file(fits.PrimaryHDU(), table), primary(np.zeros(100, "f4"))):
        with pytest.raises(NoImage, match=r"^no image in this file, nothing to extract$"):
            count_images(file)


def test_a_file_that_has_been_read_before_is_read_from_its_start():
    file = primary()
    file.read()
    assert count_images(file) == 1
    assert one(file).data.shape == (256, 256)
