"""Find the sources in an uploaded image: a catalogue, a region file, a picture, a thumbnail."""

from __future__ import annotations

import io
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any, BinaryIO

import dramatiq
from astropy.table import Table
from django.db import transaction

from tom_nightshift.astro.science.catalogue import join_catalogues, write_ds9, write_ecsv
from tom_nightshift.astro.science.images import Image, NoImage, count_images, images
from tom_nightshift.astro.science.picture import Picture, Preview
from tom_nightshift.astro.science.sources import find_sources
from tom_nightshift.astro.science.version import VERSION
from tom_nightshift.astro.tasks.parts import Parts
from tom_nightshift.astro.tasks.report import counted, report
from tom_nightshift.exceptions import TaskError, Withdrawn
from tom_nightshift.ledger.folders import job_folder
from tom_nightshift.ledger.session import jobs_alias
from tom_nightshift.ledger.speaking import current_job, progress, result, say, start_over, step, warn
from tom_nightshift.models import Picture as PictureRow
from tom_nightshift.toolkit import products


@dataclass
class _Search:
    """A search through one file, image by image."""

    product: Any
    name: str
    total: int
    threshold: float
    preview: Preview
    parts: Parts
    tables: list[Table] = field(default_factory=list)
    refused: list[TaskError] = field(default_factory=list)

    @property
    def sources(self) -> int:
        return sum(len(table) for table in self.tables)


@dramatiq.actor(
    actor_name="nightshift.extract_sources", title="Find sources in data product {dataproduct_id}"
)
def extract_sources(dataproduct_id: int, asked: bool = False, threshold: float = 3.0) -> dict[str, Any]:
    """Find the sources in a FITS file. It may run again: it goes on with the image that it had reached, and
    what it makes replaces what it made.

    Parameters:
        asked: whether a person asked for it; then a file without an image is a failure.
        threshold: in units of the background's standard deviation.

    Raises:
        TaskError: the file cannot be read, or nothing can be known from it.
        Withdrawn: the upload has gone.
    """
    product = products.get(dataproduct_id)
    try:
        with products.not_withdrawn(product), products.opened(product) as file:
            search = _search(file, product, threshold)
    except NoImage as nothing:
        if asked:
            raise
        return {"summary": str(nothing)}
    whole = join_catalogues(search.tables)
    _save(search, whole)
    return report(search.name, whole)


def _search(file: BinaryIO, product: Any, threshold: float) -> _Search:
    with job_folder(products.fingerprint(file), threshold, VERSION) as folder:
        search = _opened(file, product, threshold, Parts(folder))
        for image in images(file, search.name):
            _look_at(search, image)
            del image  # before the next is read: memory holds one of them
    search.parts.say_what_was_read()
    if not search.tables:
        raise search.refused[-1]
    return search


def _opened(file: BinaryIO, product: Any, threshold: float, parts: Parts) -> _Search:
    if not parts.reached:  # the try before was elsewhere, or had another file: nothing of it is here
        start_over()
    progress(parts.reached, note="opening the file")
    name = product.get_file_name()
    total = count_images(file, name)
    say(f"{name}: {counted(total, 'image')}")
    return _Search(product, name, total, threshold, Preview(total), parts)


def _look_at(search: _Search, image: Image) -> None:
    if not products.is_there(search.product.pk):
        raise Withdrawn(products.WITHDRAWN)
    label = image.label if search.total > 1 else "find sources"
    with step(label) as this:
        table = search.parts.read(image)
        this.done = table is not None
        if table is None:
            search.parts.say_what_was_read()
            table = _searched(search, image, label)
        else:
            progress(search.parts.reached, search.total, f"{label} was done before")
        if table is not None:
            search.tables.append(table)
            search.preview.add(image, table)


def _searched(search: _Search, image: Image, label: str) -> Table | None:
    """The sources in an image; None, and a warning, if nothing can be known from it but from others."""
    try:
        table = find_sources(image, threshold=search.threshold, report=_reporter(search, image, label))
    except TaskError as error:
        if search.total == 1:
            raise
        search.refused.append(error)
        warn(f"{label}: {error}")
        return None
    search.parts.keep(image, table)
    say(f"{label}: {counted(len(table), 'source')}, {search.sources + len(table):,} so far")
    return table


def _reporter(search: _Search, image: Image, label: str) -> Callable[[int, int, str], None]:
    before, where = image.number - 1, f"{label}: " if search.total > 1 else ""

    def report_progress(done: int, total: int, words: str) -> None:
        so_far = f"; {search.sources:,} sources so far" if before else ""
        progress(max(before + done / total, search.parts.reached), search.total, f"{where}{words}{so_far}")

    return report_progress


def _save(search: _Search, whole: Table) -> None:
    job = current_job()
    with step("draw the picture") as this:
        this.done = False  # it is not kept, nor is the next
        progress(search.total, search.total, "drawing the picture")
        picture, thumbnail = search.preview.draw(), search.preview.thumbnail()
    with step("save the catalogue") as this:
        this.done = False
        progress(search.total, search.total, f"saving {counted(len(whole), 'source')}")
        made = products.save_made(
            search.product,
            _files(whole, search.threshold) if len(whole) else [],
            owner_id=job.owner_id if job else None,
            thumbnail=thumbnail,
            also=lambda: _keep_picture(job.id, picture, search) if job else None,
        )
    for one, label in zip(made, ("Catalogue (ECSV)", "Regions for DS9"), strict=False):
        result(one, f"{label}: {one.get_file_name()}")


def _files(whole: Table, threshold: float) -> list[products.Made]:
    return [
        products.Made(
            f"sources at {threshold:g} sigma: catalogue", "_sources.ecsv", _written(write_ecsv, whole)
        ),
        products.Made(f"sources at {threshold:g} sigma: regions", "_sources.reg", _written(write_ds9, whole)),
    ]


def _written(write: Callable[[Table, BinaryIO], None], whole: Table) -> bytes:
    file = io.BytesIO()
    write(whole, file)
    return file.getvalue()


def _keep_picture(job_id: int, picture: Picture, search: _Search) -> None:
    """Replace the pictures of an earlier attempt."""
    with transaction.atomic(using=jobs_alias()):
        PictureRow.objects.filter(job_id=job_id).delete()
        PictureRow.objects.create(
            job_id=job_id,
            caption=f"{search.name}: {counted(search.sources, 'source')}"[:200],
            content_type=picture.mime,
            width=picture.width,
            height=picture.height,
            data=picture.content,
        )
