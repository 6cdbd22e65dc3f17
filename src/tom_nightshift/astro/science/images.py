"""A FITS file becomes images, one at a time: whatever an astronomer uploads, read or refused in a sentence.

Plain files, several extensions, tile compression (``.fz``) and whole-file gzip are read alike. Only one
image is held in memory at a time.
"""

from __future__ import annotations

import gzip
import shutil
import tempfile
import zlib
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from functools import cached_property
from typing import Any, BinaryIO

import numpy as np
from astropy.io import fits
from astropy.io.fits import Header
from astropy.wcs import WCS
from numpy.typing import NDArray

from tom_nightshift.astro.science import headers
from tom_nightshift.exceptions import TaskError

COMPANIONS = frozenset(
    ("BPM MASK DQ FLAG FLAGS SEGM CTX CON SAMP TIME EXP EXPMAP WHT WEIGHT ERR ERROR SIGMA STDDEV UNCERT "  # noqa: SIM905
     "VAR VARIANCE IVAR INVVAR BKG BACKGROUND D2IMARR WCSDVARR").split()
)  # fmt: skip
"""Extensions of these names go with an image but are not pictures of the sky."""

MASKS = ("BPM", "MASK")
"""Extensions in which every pixel that is not zero marks a bad one (BANZAI, CCDData)."""


TOO_LARGE = "numbers beyond 1e30 were taken for blank pixels, which they stand for in many files"
"""Said of an image that has some."""

FILLED = 1e30
"""No camera counts so far: numbers beyond stand for blank pixels in files that do without NaN."""


class NoImage(TaskError):
    """A sound FITS file in which there is no image."""


@dataclass(frozen=True, eq=False)
class Image:
    """One picture of the sky; arrays have shape (y, x)."""

    data: NDArray[np.float32]
    """Light in the unit that BUNIT names (counts, ADU, where it is silent), native byte order; what is
    blank is 0 and in `bad`."""

    bad: NDArray[np.bool_]
    """Blank pixels (NaN, infinite, beyond 1e30) and those a BPM or MASK extension marks."""

    saturated: NDArray[np.bool_]
    """Pixels at or above the header's saturation: light is there, but nobody knows how much."""

    header: Header
    """The extension's header, completed by the primary one."""

    wcs: WCS | None
    """Celestial coordinates, or None."""

    gain: float | None
    """Electrons per count, or None."""

    zero_point: float | None
    """The magnitude of one count, or None."""

    zero_point_keyword: str
    """Where the zero point was found, or no words."""

    number: int
    """1 for the first image of the file."""

    label: str
    """``CCD 3 of 12``, or ``image`` when there is only one."""

    name: str
    """EXTNAME, or no words."""

    warnings: tuple[str, ...]
    """What could not be read, in sentences."""

    @cached_property
    def mask(self) -> NDArray[np.bool_]:
        """Every pixel whose count is not to be trusted."""
        return self.bad | self.saturated

    @property
    def blank(self) -> bool:
        """Whether nothing at all is known in this image."""
        return bool(self.bad.all())


def count_images(file: BinaryIO, name: str = "the file") -> int:
    """Count the images in a file by its headers alone.

    :raises TaskError: as :func:`images`, except for images that are blank or cannot be decompressed
    """
    with _opened(file, name) as hdus:
        return len(_pictures(hdus))


def images(file: BinaryIO, name: str) -> Iterator[Image]:
    """Read a FITS file's images one by one; memory holds one of them.

    :param file: open for reading bytes and able to seek, such as ``data_product.data.open()``; stays open
    :param name: the file's name, for the sentences
    :raises NoImage: the file is sound, but no image is in it
    :raises TaskError: the file is empty, not FITS, cut short, corrupt, or blank from edge to edge
    """
    with _opened(file, name) as hdus:
        pictures = _pictures(hdus)
        all_blank = True
        for position, index in enumerate(pictures, 1):
            image = _read(hdus, index, position, len(pictures), name)
            all_blank, too_large = all_blank and image.blank, TOO_LARGE in image.warnings
            if len(pictures) > 1 or not image.blank:
                yield image
            del image, hdus[index].data  # or the file object keeps every image it has read
        if all_blank:
            raise _nothing_in(name, too_large=too_large)


def _nothing_in(name: str, *, too_large: bool) -> TaskError:
    if too_large:
        return TaskError(
            f"no pixel of {name} can be used: {TOO_LARGE}; divide the image by a large number and upload it "
            "again"
        )
    return TaskError(
        f"{name} is blank: every pixel is NaN or marked as bad, so there is nothing to see in it"
    )


@contextmanager
def _opened(file: BinaryIO, name: str) -> Iterator[fits.HDUList]:
    with ExitStack() as stack:
        source: Any = _Reader(_unpacked(file, name, stack))
        _refuse_what_is_not_fits(source, name)
        try:
            with headers.quiet():
                hdus = fits.open(source, memmap=False, lazy_load_hdus=False, ignore_missing_simple=False)
        except Exception as error:  # a header can be broken in ways for which astropy has no one name
            raise _corrupt(name, "its header cannot be read") from error
        stack.callback(hdus.close)
        _refuse_what_is_cut_short(hdus, source, name)
        if not _pictures(hdus):
            raise NoImage(_why_no_image(hdus))
        yield hdus


class _Reader:
    """Only what reading needs of a file.

    Django's files come with names and modes that astropy would take for those of a file on disk, and the
    caller's file must not be closed by astropy.
    """

    def __init__(self, file: BinaryIO) -> None:
        self.read, self.seek, self.tell = file.read, file.seek, file.tell

    def size(self) -> int:
        self.seek(0, 2)
        return self.tell()


def _unpacked(file: BinaryIO, name: str, stack: ExitStack) -> BinaryIO:
    """Undo a whole-file gzip into a temporary file, where any extension can be reached at once."""
    file.seek(0)
    packed = file.read(2) == b"\x1f\x8b"
    file.seek(0)
    if not packed:
        return file
    plain = stack.enter_context(tempfile.TemporaryFile())  # noqa: SIM115 - the stack closes it
    try:
        with gzip.GzipFile(fileobj=file, mode="rb") as packed_file:
            shutil.copyfileobj(packed_file, plain, 1 << 20)
    except (EOFError, gzip.BadGzipFile, zlib.error) as error:
        raise _corrupt(name, "it cannot be unpacked by gzip") from error
    return plain


def _refuse_what_is_not_fits(source: Any, name: str) -> None:
    if not source.size():
        raise TaskError(f"{name} is empty (0 bytes): the upload may have been interrupted; upload it again")
    source.seek(0)
    start = source.read(512)
    source.seek(0)
    if start.startswith(b"SIMPLE  ="):
        return
    webpage = b"<html" in start.lower() or start.lstrip().lower().startswith(b"<!doctype html")
    hint = ", so it looks like a web page (a log-in or error page saved under this name?)" if webpage else ""
    raise TaskError(f"{name} is not a FITS file: it starts with {_first_words(start)}{hint}")


def _first_words(start: bytes) -> str:
    """Quote the first line, at most 20 characters, or the first bytes where they are no text."""
    line = next((line for line in start.splitlines() if line.strip()), b"")[:20].strip()
    if line and all(32 <= byte < 127 for byte in line):
        return f'"{line.decode("ascii")}"'
    return f"the bytes {start[:4].hex(' ')}"


def _refuse_what_is_cut_short(hdus: fits.HDUList, source: Any, name: str) -> None:
    size, end = source.size(), 0
    for hdu in hdus:
        place = hdu.fileinfo()
        end = place["datLoc"] + place["datSpan"]
        # Some writers leave out the padding after the last block: only missing data count. (Of a compressed
        # image `size` is that of the pixels, so there the padding must do.)
        needed = end if isinstance(hdu, fits.CompImageHDU) else min(end, place["datLoc"] + hdu.size)
        if needed > size:
            raise _cut_short(name, size, needed)
    source.seek(end)
    if source.read(8) == b"XTENSION":  # astropy passes over a last header that has no end
        raise _cut_short(name, size, size + 1)


def _cut_short(name: str, size: int, needed: int) -> TaskError:
    return TaskError(
        f"{name} is cut short: its header promises at least {needed:,} bytes and the file has {size:,}; "
        "the download or upload was probably interrupted, so fetch and upload it again"
    )


def _corrupt(name: str, what: str) -> TaskError:
    return TaskError(f"{name} is corrupt: {what}; fetch the file and upload it again")


def _pictures(hdus: fits.HDUList) -> list[int]:
    """Say which HDUs hold pictures of the sky, by their headers."""
    return [
        index
        for index, hdu in enumerate(hdus)
        if len(_sides(hdu)) == 2 and not (index and hdu.name.upper() in COMPANIONS)
    ]


def _sides(hdu: Any) -> list[int]:
    """Sides of an image HDU, without axes of length 1 and fastest first; nothing for tables and groups."""
    if not isinstance(hdu, fits.PrimaryHDU | fits.ImageHDU | fits.CompImageHDU) or isinstance(
        hdu, fits.GroupsHDU
    ):
        return []
    return [side for side in reversed(hdu.shape) if side != 1]


def _why_no_image(hdus: fits.HDUList) -> str:
    for hdu in hdus:
        if _sides(hdu) and len(hdu.shape) == 2 and 1 in hdu.shape:
            return (
                f"the image in this file is one pixel wide ({hdu.shape[1]} × {hdu.shape[0]} pixels), nothing "
                "to extract"
            )
    cubes = [" × ".join(map(str, sides)) for sides in map(_sides, hdus) if len(sides) > 2]
    there = f" (a cube of {cubes[0]} pixels is not an image)" if cubes else ""
    return f"no image in this file, nothing to extract{there}"


def _read(hdus: fits.HDUList, index: int, position: int, total: int, name: str) -> Image:
    label = f"CCD {position} of {total}" if total > 1 else "image"
    hdu = hdus[index]
    empty = _blank_value(hdu.header)
    raw = _pixels(hdu, f"{label} of {name}" if total == 1 else f"{label} in {name}")
    known = np.abs(raw) < FILLED  # which is false for NaN, too
    too_large = TOO_LARGE if bool(np.isfinite(raw[~known]).any()) else ""
    if empty is not None:
        known &= raw != empty
    data = np.ascontiguousarray(np.where(known, raw, 0), dtype=np.float32)
    del raw
    bad = ~known
    words = _add_companion_mask(hdus, hdu, bad)
    header = _completed(hdu.header, hdus[0].header)
    wcs, no_wcs = headers.celestial(hdu.header, hdus)
    full = headers.saturation(header)
    zero_point, keyword = headers.zero_point(header) or (None, "")
    return Image(
        data=data,
        bad=bad,
        saturated=~bad & (data >= full) if full else np.zeros_like(bad),
        header=header,
        wcs=wcs,
        gain=headers.gain(header),
        zero_point=zero_point,
        zero_point_keyword=keyword,
        number=position,
        label=label,
        name=hdu.name if hdu.name != "PRIMARY" else "",
        warnings=tuple(filter(None, (words, no_wcs, too_large))),
    )


def _blank_value(header: Header) -> float | None:
    """The count that stands for "nothing known" in an image of whole numbers, as it will be read.

    astropy heeds BLANK only where it has to scale; an image of unsigned integers it leaves as it is. Ask
    before reading: the keywords of scaling are gone afterwards.
    """
    if header["BITPIX"] < 0 or not isinstance(header.get("BLANK"), int):
        return None
    return float(header["BLANK"] * header.get("BSCALE", 1) + header.get("BZERO", 0))


def _pixels(hdu: Any, what: str) -> NDArray[Any]:
    try:
        with headers.quiet():
            data = np.asarray(hdu.data)
    except MemoryError as error:
        raise TaskError(f"the {what} is too large for this machine's memory") from error
    except Exception as error:  # the decompressors raise anything from OSError to RuntimeError
        raise TaskError(
            f"the {what} is corrupt: its pixels cannot be read; fetch and upload it again"
        ) from error
    return data.reshape([side for side in data.shape if side != 1])


def _add_companion_mask(hdus: fits.HDUList, hdu: Any, bad: NDArray[np.bool_]) -> str:
    """Mark what a BPM or MASK extension of the same version marks as bad; say so if it cannot be used."""
    for mask in hdus:
        if mask.name.upper() not in MASKS or mask.ver != hdu.ver:
            continue
        if _sides(mask) != _sides(hdu):
            return f"the extension {mask.name} does not have the image's size and was not used"
        bad |= _pixels(mask, f"extension {mask.name}") != 0
        del mask.data
    return ""


def _completed(own: Header, primary: Header) -> Header:
    """The extension's header with what only the primary one says: its own word counts where both speak."""
    header = own.copy(strip=True)
    with headers.quiet():
        header.extend(primary.copy(strip=True), unique=True)
    return header
