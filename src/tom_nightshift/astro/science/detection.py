"""Background and detection, by SEP (Barbary 2016), the library form of SExtractor (Bertin & Arnouts 1996)."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
import sep
from numpy.typing import NDArray

from tom_nightshift.exceptions import TaskError

BOX = 64
"""Side of the background's boxes, pixels."""


@dataclass(frozen=True, eq=False)
class Sky:
    """The background of an image: arrays have shape (y, x), all in counts."""

    level: NDArray[np.float32]
    noise: NDArray[np.float32]
    typical_level: float
    typical_noise: float


@dataclass(frozen=True, eq=False)
class Detections:
    """What stands out of the background."""

    objects: NDArray[Any]
    """One record a source, as :func:`sep.extract` gives it; positions count from 0."""

    segments: NDArray[np.int32]
    """Whose each pixel is: 0 nobody's, i + 1 that of ``objects[i]``; shape (y, x)."""

    limit: float
    """The counts above the background that make a pixel part of a source."""


def measure_sky(data: NDArray[np.float32], mask: NDArray[np.bool_]) -> Sky:
    """Estimate background and noise in boxes of :data:`BOX` pixels, clipped and smoothed as SExtractor does.

    :param data: counts, shape (y, x)
    :param mask: pixels to leave out, same shape
    """
    height, width = data.shape
    found = sep.Background(data, mask=mask, bw=min(BOX, width), bh=min(BOX, height))
    noise = found.rms()
    # The spline through the boxes can overshoot, even below zero, beside a crowded part.
    np.clip(noise, 0.5 * found.globalrms, None, out=noise)
    return Sky(found.back(), noise, float(found.globalback), float(found.globalrms))


def detect(
    above: NDArray[np.float32],
    noise: float,
    threshold: float,
    *,
    bad: NDArray[np.bool_],
    gain: float | None = None,
) -> Detections:
    """Find and separate the sources of an image without background.

    SEP's own settings are kept: at least 5 pixels, a 3×3 pyramid as filter, 32 deblending levels.

    :param above: counts above the background, shape (y, x)
    :param noise: the background's standard deviation in a pixel, counts
    :param threshold: in units of *noise*
    :param bad: pixels of which nothing is known, shape (y, x)
    :param gain: electrons per count, for the errors of the positions
    :raises TaskError: so much is above the threshold that the sources cannot be told apart
    """
    pixels = above.size
    while True:
        try:
            objects, segments = sep.extract(
                above, threshold, err=noise, gain=gain, mask=bad, segmentation_map=True
            )
        except Exception as error:  # noqa: BLE001 - SEP raises a bare Exception with the C library's words
            _make_room(str(error), pixels, error)
        else:
            return Detections(objects, segments, threshold * noise)


def _make_room(words: str, pixels: int, error: Exception) -> None:
    """Raise the limit that SEP ran into; both stay raised, as they only bound its memory."""
    if "pixel buffer full" in words and sep.get_extract_pixstack() < pixels:
        sep.set_extract_pixstack(min(4 * sep.get_extract_pixstack(), pixels))
    elif "deblending overflow" in words and sep.get_sub_object_limit() < 100_000:
        sep.set_sub_object_limit(8 * sep.get_sub_object_limit())
    else:
        raise TaskError(
            f"the sources cannot be told apart: too much of this image is above the threshold ({words}); "
            "try a higher threshold"
        ) from error
