"""The image with its sources marked."""

from __future__ import annotations

import io

import numpy as np
import pytest
from astropy.io import fits
from PIL import Image as Pil

from tests.astro.skies import SIDE, as_file, primary, sky, stars
from tom_nightshift.astro.science.images import images
from tom_nightshift.astro.science.picture import Preview, _encoded, draw, thumbnail
from tom_nightshift.astro.science.sources import find_sources


def image_and_table(data=None):
    (image,) = images(primary(data), "x.fits")
    return image, find_sources(image, artificial_stars=0)


def decoded(content: bytes) -> Pil.Image:
    picture = Pil.open(io.BytesIO(content))
    picture.load()
    return picture


def test_a_picture_can_be_decoded_and_has_the_size_it_says():
    picture = draw(*image_and_table())
    shown = decoded(picture.content)
    assert (shown.width, shown.height) == (picture.width, picture.height)
    assert shown.format == "JPEG"
    assert picture.mime == "image/jpeg"
    assert len(picture.content) < 2_000_000
    assert picture.width == 4 * SIDE


def test_a_large_noisy_picture_is_made_to_fit():
    noise = np.random.default_rng(1).normal(0, 1, (1600, 1600)).astype(np.float32)
    (image,) = images(primary(noise), "x.fits")
    table = find_sources(image, artificial_stars=0)
    picture = draw(image, table, max_bytes=60_000)
    assert len(picture.content) <= 60_000
    assert decoded(picture.content).size == (picture.width, picture.height)
    assert len(draw(image, table).content) <= 2_000_000


def test_the_noisiest_colours_neither_break_the_encoder_nor_the_limit():
    colours = np.random.default_rng(0).integers(0, 256, (1600, 1600, 3), dtype=np.uint8)
    picture = _encoded(Pil.fromarray(colours), 2_000_000)
    assert len(picture.content) <= 2_000_000
    assert decoded(picture.content).width == picture.width


def test_the_first_row_is_at_the_bottom_and_stars_are_bright():
    truth = np.array([[40.0, 20.0, 50_000.0]])  # low on the left
    image, _ = image_and_table(sky(truth))
    grey = np.asarray(decoded(thumbnail(image, side=SIDE)).convert("L"))
    rows, columns = np.nonzero(grey > 200)
    assert (SIDE - 1 - rows.mean(), columns.mean()) == pytest.approx((20, 40), abs=0.5)


def test_marks_surround_their_sources_in_colour():
    picture = decoded(draw(*image_and_table()).content).convert("RGB")
    colour = np.asarray(picture, dtype=int)[: 4 * SIDE]
    coloured = colour.max(axis=2) - colour.min(axis=2) > 60
    rows, columns = np.nonzero(coloured)
    x, y = (columns + 0.5) / 4 - 0.5, SIDE - (rows + 0.5) / 4 - 0.5
    nearest = np.hypot(x[:, None] - stars()[:, 0], y[:, None] - stars()[:, 1])
    assert set(nearest.argmin(axis=1)) == set(range(16))
    assert 1 < np.median(nearest.min(axis=1)) < 6
    assert nearest.min(axis=1).max() < 8


def test_a_mosaic_is_a_contact_sheet_with_the_longer_side_asked_for():
    hdus = [fits.ImageHDU(sky(seed=n)) for n in range(12)]
    preview = Preview(12, max_side=800)
    for image in images(as_file(fits.PrimaryHDU(), *hdus), "m.fits"):
        preview.add(image, find_sources(image, artificial_stars=0))
    picture = preview.draw()
    assert (preview.columns, preview.rows) == (4, 3)
    assert picture.width == pytest.approx(800, abs=20)
    assert picture.height == pytest.approx(600, abs=40)
    small = decoded(preview.thumbnail())
    assert small.format == "PNG"
    assert max(small.size) == 200


def test_a_preview_keeps_no_image_at_full_size():
    image, table = image_and_table()
    preview = Preview(100)
    for _ in range(3):
        preview.add(image, table)
    assert sum(tile.grey.nbytes for tile in preview._tiles) < image.data.nbytes / 2


def test_blank_and_empty_images_are_drawn():
    data = sky()
    data[:128] = np.nan
    assert decoded(draw(*image_and_table(data)).content).width
    assert decoded(draw(*image_and_table(np.full((50, 90), 3.0, "f4"))).content).width
    with pytest.raises(ValueError, match="No image"):
        Preview().draw()
