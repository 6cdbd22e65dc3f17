"""The image with its sources marked: one picture for a page, and a small one for a list.

A file of many CCDs becomes a contact sheet. Each CCD is made small as it comes, so that memory never holds
more than one at full size.
"""

from __future__ import annotations

import io
import math
from dataclasses import dataclass
from typing import NamedTuple

import numpy as np
from astropy.table import Table
from numpy.typing import NDArray
from PIL import Image as Pil
from PIL import ImageDraw, ImageFont

from tom_nightshift.astro.science.images import Image

DOUBTFUL = 1 | 2 | 4 | 8 | 64 | 128 | 256  # flags; a neighbour in the aperture (32) alone is none of them
CLEAN, FLAGGED = (70, 215, 255), (255, 165, 60)  # told apart by the colour-blind too, and both from grey
FINE = 3  # marks are drawn so many times larger and made small: smooth thin lines
LARGEST_ZOOM = 4
SMALLEST_MARK = 4.0  # pixels of the picture
MARKED_PART = 0.3  # how much of the picture the marks may cover
BAND = 24  # height of the line of words below, pixels
TURNS = np.linspace(0, 2 * np.pi, 49)
QUALITIES = (90, 80, 70, 55, 40)


class Picture(NamedTuple):
    """An encoded picture."""

    content: bytes
    mime: str
    width: int
    height: int


@dataclass(frozen=True, eq=False)
class _Tile:
    """One CCD made small: grey values with the first row at the *top*, shape (y, x), and its marks."""

    grey: NDArray[np.uint8]
    marks: NDArray[np.float64]
    """Shape (n, 5): x, y from the top left corner, half axes, angle (radians, anticlockwise)."""

    doubtful: NDArray[np.bool_]
    """Which of the marks stand for sources with one of the :data:`DOUBTFUL` flags."""

    label: str
    sources: int


class Preview:
    """Collects a file's images one at a time and draws them.

    ::

        preview = Preview(total=12)
        for image in images(file, name):
            preview.add(image, find_sources(image))
        picture = preview.draw()

    :param total: how many images will come at most
    :param max_side: the longer side of the picture, pixels
    """

    def __init__(self, total: int = 1, *, max_side: int = 1600) -> None:
        self.columns = max(1, round(math.sqrt(total * 4 / 3)))
        self.rows = -(-total // self.columns)
        self.total = total
        self.max_side = max_side
        self.cell = max(16, max_side // max(self.columns, self.rows))
        self._tiles: list[_Tile] = []

    def add(self, image: Image, table: Table) -> None:
        """Take in an image and its catalogue; neither is kept.

        :param image: the next image of the file
        :param table: its catalogue, x and y in FITS convention, brightest first
        """
        height, width = image.data.shape
        zoom = self.cell / max(height, width)
        if zoom > 1:
            zoom = max(1, min(int(zoom), LARGEST_ZOOM))
        size = max(1, round(width * zoom)), max(1, round(height * zoom))
        grey = _small(image, size)
        most = max(20, int(MARKED_PART * grey.size / (math.pi * (SMALLEST_MARK + 1) ** 2)))
        shown = table[:most]
        label = image.label if self.total > 1 else ""
        self._tiles.append(
            _Tile(
                grey,
                _marks(shown, zoom, size[1]),
                np.asarray(shown["flags"], dtype=int) & DOUBTFUL > 0,
                label,
                len(table),
            )
        )

    def draw(self, *, max_bytes: int = 2_000_000) -> Picture:
        """Draw all images taken in, with their sources marked.

        :param max_bytes: the picture is made coarser until it fits
        :raises ValueError: no image was added
        """
        return _encoded(self._canvas(), max_bytes)

    def thumbnail(self, *, side: int = 200) -> bytes:
        """Draw a PNG at most *side* pixels wide and high, without marks or words: they would hide the sky."""
        sheet, _ = self._sheet()
        sheet.thumbnail((side, side), Pil.Resampling.LANCZOS)
        content = io.BytesIO()
        sheet.save(content, "PNG", optimize=True)
        return content.getvalue()

    def _canvas(self) -> Pil.Image:
        sheet, places = self._sheet()
        picture = sheet.convert("RGB")
        for colour, doubtful in ((CLEAN, False), (FLAGGED, True)):
            picture.paste(colour, mask=self._marked(sheet.size, places, doubtful))
        self._write_labels(picture, places)
        return _with_words(picture, self._words())

    def _sheet(self) -> tuple[Pil.Image, list[tuple[int, int]]]:
        """The grey images side by side, with the place of each one's top left corner."""
        if not self._tiles:
            raise ValueError("No image was added to the preview.")
        wide = max(tile.grey.shape[1] for tile in self._tiles)
        high = max(tile.grey.shape[0] for tile in self._tiles)
        gap = 4 if len(self._tiles) > 1 else 0
        columns = min(self.columns, len(self._tiles))
        rows = -(-len(self._tiles) // columns)
        sheet = Pil.new("L", (columns * (wide + gap) - gap, rows * (high + gap) - gap), 40)
        places = [(i % columns * (wide + gap), i // columns * (high + gap)) for i in range(len(self._tiles))]
        for tile, place in zip(self._tiles, places, strict=True):
            sheet.paste(Pil.fromarray(tile.grey), place)
        return sheet, places

    def _marked(self, size: tuple[int, int], places: list[tuple[int, int]], doubtful: bool) -> Pil.Image:
        """Where the marks are, drawn large and made small; tile by tile to keep the large one small."""
        mask = Pil.new("L", size, 0)
        for tile, place in zip(self._tiles, places, strict=True):
            high, wide = tile.grey.shape
            large = Pil.new("L", (wide * FINE, high * FINE), 0)
            pen = ImageDraw.Draw(large)
            for outline in _outlines(tile.marks[tile.doubtful == doubtful]) * FINE:
                pen.line([(x, y) for x, y in outline.tolist()], fill=255, width=FINE + 1)
            mask.paste(large.resize((wide, high), Pil.Resampling.BOX), place)
        return mask

    def _write_labels(self, picture: Pil.Image, places: list[tuple[int, int]]) -> None:
        pen = ImageDraw.Draw(picture)
        for tile, (x, y) in zip(self._tiles, places, strict=True):
            if tile.label:
                words = f"{tile.label}: {tile.sources:,}"
                pen.text(
                    (x + 5, y + 4),
                    words,
                    "white",
                    ImageFont.load_default(13),
                    stroke_width=2,
                    stroke_fill="black",
                )

    def _words(self) -> str:
        sources, marked = (
            sum(n) for n in zip(*((t.sources, len(t.marks)) for t in self._tiles), strict=True)
        )
        which = (
            f"{sources:,} sources"
            if marked == sources
            else f"{sources:,} sources, the brightest {marked:,} marked"
        )
        return f"{which}; orange: blended, cut off or saturated"


def draw(image: Image, table: Table, *, max_bytes: int = 2_000_000, max_side: int = 1600) -> Picture:
    """Draw a single image with its sources marked; as :meth:`Preview.draw`."""
    preview = Preview(max_side=max_side)
    preview.add(image, table)
    return preview.draw(max_bytes=max_bytes)


def thumbnail(image: Image, *, side: int = 200) -> bytes:
    """Draw a single image as a small PNG."""
    preview = Preview(max_side=2 * side)
    preview.add(image, Table({name: np.empty(0) for name in ("x", "y", "a", "b", "theta", "flags")}))
    return preview.thumbnail(side=side)


def _small(image: Image, size: tuple[int, int]) -> NDArray[np.uint8]:
    """Average to *size* (width, height), stretch to grey, and turn so that the first row is at the bottom."""
    data = image.data
    if image.bad.any():
        middle = float(np.median(data[~image.bad])) if not image.blank else 0.0
        data = np.where(image.bad, np.float32(middle), data)
    smaller = size[0] < data.shape[1]
    small = Pil.fromarray(data).resize(size, Pil.Resampling.BOX if smaller else Pil.Resampling.BICUBIC)
    return np.ascontiguousarray(_stretched(np.asarray(small, dtype=np.float64))[::-1])


def _stretched(data: NDArray[np.float64]) -> NDArray[np.uint8]:
    """Grey values by an asinh stretch (Lupton et al. 2004): linear in the noise, logarithmic in the bright.

    Black lies 1.5 standard deviations (from the quartiles' lower half, where sources count little) below the
    median sky, white at the brightest two thousandth.
    """
    low, middle, high = np.percentile(data, (15.87, 50, 99.95))
    noise = max(middle - low, 1e-6 * abs(high), np.finfo(np.float32).tiny)
    black, soft = middle - 1.5 * noise, 3 * noise
    top = max(np.arcsinh((high - black) / soft), 1e-9)
    return np.asarray(np.clip(np.arcsinh((data - black) / soft) / top, 0, 1) * 255, dtype=np.uint8)


def _marks(table: Table, zoom: float, height: int) -> NDArray[np.float64]:
    """Places and half axes on the small image, whose first pixel's corner is 0, 0 and whose y runs down."""
    x, y, a, b, theta = (np.asarray(table[name], dtype=float) for name in ("x", "y", "a", "b", "theta"))
    longer = np.maximum(3 * a * zoom, SMALLEST_MARK)
    shorter = np.maximum(3 * b * zoom, SMALLEST_MARK)
    marks = np.column_stack([(x - 0.5) * zoom, height - (y - 0.5) * zoom, longer, shorter, np.deg2rad(theta)])
    return np.nan_to_num(marks)


def _outlines(marks: NDArray[np.float64]) -> NDArray[np.float64]:
    """Points along each ellipse, shape (n, points, 2)."""
    x, y, a, b, theta = (column[:, None] for column in marks.T)
    along, across = a * np.cos(TURNS), b * np.sin(TURNS)
    right = along * np.cos(theta) - across * np.sin(theta)
    up = along * np.sin(theta) + across * np.cos(theta)
    return np.stack([x + right, y - up], axis=-1)


def _with_words(picture: Pil.Image, words: str) -> Pil.Image:
    """Add a line of words below, where the picture is wide enough to read them."""
    font = ImageFont.load_default(13)
    if font.getlength(words) + 12 > picture.width:
        return picture
    whole = Pil.new("RGB", (picture.width, picture.height + BAND), (20, 20, 20))
    whole.paste(picture, (0, 0))
    ImageDraw.Draw(whole).text((6, picture.height + 4), words, (235, 235, 235), font)
    return whole


def _encoded(picture: Pil.Image, max_bytes: int) -> Picture:
    """Encode as JPEG, coarser and then smaller until it fits."""
    while True:
        for quality in QUALITIES:
            content = io.BytesIO()
            picture.save(content, "JPEG", quality=quality, subsampling=0 if quality > 70 else 2)
            if content.tell() <= max_bytes or max(picture.size) < 64:
                return Picture(content.getvalue(), "image/jpeg", picture.width, picture.height)
        picture = picture.resize(
            (picture.width * 2 // 3 or 1, picture.height * 2 // 3 or 1), Pil.Resampling.LANCZOS
        )
