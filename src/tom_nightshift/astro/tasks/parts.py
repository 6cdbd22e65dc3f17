"""The catalogues of a file's images, kept until the job is over: a later try goes on where this one was."""

from __future__ import annotations

import gzip
import io
from itertools import groupby
from pathlib import Path

from astropy.table import Table

from tom_nightshift.astro.science.catalogue import write_ecsv
from tom_nightshift.astro.science.images import Image
from tom_nightshift.events import first_line
from tom_nightshift.ledger.folders import whole_file
from tom_nightshift.ledger.speaking import current_job, say
from tom_nightshift.web.words import nth_try

MADE_BY = "made by try"
ENDING = ".ecsv.gz"  # gzip has a checksum: a file that was cut short or changed is found out


class Parts:
    """One catalogue for each image that was searched.

    :param folder: of the job's own, for this very file, threshold and code
    """

    def __init__(self, folder: Path) -> None:
        self._folder = folder
        self._try = job.attempt if (job := current_job()) else 1
        self._read: list[tuple[int, str]] = []
        there = (file.name.removesuffix(ENDING) for file in folder.glob(f"*{ENDING}"))
        self.reached = max((int(number) for number in there if number.isdecimal()), default=0)
        """The number of the last image of which there is a catalogue; 0 for none."""

    def read(self, image: Image) -> Table | None:
        """What an earlier try found in this image; None if it is to be searched."""
        try:
            table = _catalogue(self._file(image))
            self._read.append((table.meta.pop(MADE_BY), image.label.partition(" of ")[0]))
        except FileNotFoundError:
            return None
        except Exception as error:  # noqa: BLE001 - whatever is in the file, the image is still there
            say(f"{image.label}: what was kept of it is damaged ({first_line(error)}): it is searched again")
            return None
        return table

    def keep(self, image: Image, table: Table) -> None:
        """Keep what was found in this image. A disk that is full is no reason to fail."""
        marked = table.copy(copy_data=False)
        marked.meta[MADE_BY] = self._try
        content = io.BytesIO()
        write_ecsv(marked, content)
        try:
            with whole_file(self._file(image)) as unfinished:
                unfinished.write_bytes(gzip.compress(content.getvalue(), compresslevel=1))
        except OSError as error:
            say(f"{image.label}: it cannot be kept ({first_line(error)}): a later try would search it again")

    def say_what_was_read(self) -> None:
        """Say which images were not searched again, and which try had done it; once."""
        for number, group in groupby(self._read, key=lambda one: one[0]):
            labels = [label for _, label in group]
            were = "was" if len(labels) == 1 else "were"
            say(f"{_in_words(labels)} {were} done by the {nth_try(number)}; only read again for the picture")
        self._read.clear()

    def _file(self, image: Image) -> Path:
        return self._folder / f"{image.number}{ENDING}"


def _catalogue(file: Path) -> Table:
    return Table.read(gzip.decompress(file.read_bytes()).decode(), format="ascii.ecsv")


def _in_words(labels: list[str]) -> str:
    """``CCD 1 to 4``, of labels whose numbers go up one by one."""
    first, last = labels[0], labels[-1].rpartition(" ")[2]
    if len(labels) == 1:
        return first
    return f"{first} {'and' if len(labels) == 2 else 'to'} {last}"
