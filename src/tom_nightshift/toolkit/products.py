"""Data products as tasks read and write them: the only module of Nightshift that does.

What a task makes from an upload is a data product of the same target, without a type: a type of ours would
break TOM Toolkit's pages once Nightshift is taken out. Its ``product_id`` names what it was made from and
how. So the same question asked again (a second attempt, *Run again*, somebody else's click) replaces the
answer, in place and with its links, and another question (another threshold) has an answer of its own.
"""

from __future__ import annotations

import hashlib
import io
import os
import re
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any, BinaryIO

from django.core.files.base import ContentFile
from django.db import router, transaction
from django.utils import timezone
from PIL import Image
from tom_dataproducts.models import DataProduct

from tom_nightshift.conf import django_setting
from tom_nightshift.exceptions import StopRequested, TaskError, Withdrawn
from tom_nightshift.toolkit import rights

WITHDRAWN = "the upload was withdrawn"


@dataclass(frozen=True, slots=True)
class Made:
    """A file that is to become a data product."""

    question: str
    """What it answers, with all that the answer depends on: the same question replaces the same answer."""

    ending: str
    """What is put in place of the parent's ``.fits``, such as ``_sources.ecsv``."""

    content: bytes


def get(dataproduct_id: int) -> DataProduct:
    """A data product.

    Raises:
        Withdrawn: it has gone.
    """
    product = DataProduct.objects.filter(pk=dataproduct_id).first()
    if product is None:
        raise Withdrawn(WITHDRAWN)
    return product


def is_there(dataproduct_id: int) -> bool:
    """Whether a data product has not been deleted."""
    return bool(DataProduct.objects.filter(pk=dataproduct_id).exists())


@contextmanager
def not_withdrawn(product: DataProduct) -> Iterator[None]:
    """Work on a data product, which may go meanwhile.

    Raises:
        Withdrawn: the block failed, and the product has gone: then nothing else is worth saying.
    """
    try:
        yield
    except StopRequested:
        raise
    except Exception:
        if not is_there(product.pk):
            raise Withdrawn(WITHDRAWN) from None
        raise


@contextmanager
def opened(product: DataProduct) -> Iterator[BinaryIO]:
    """The product's file, open for reading bytes; closed when the block ends.

    Raises:
        TaskError: the file is not there.
    """
    require_file(product)
    with product.data.storage.open(product.data.name, "rb") as file:
        yield file


def fingerprint(file: BinaryIO) -> str:
    """What tells this content from any other; the file stands at its beginning again afterwards."""
    content = hashlib.sha256()
    file.seek(0)
    while piece := file.read(1 << 20):
        content.update(piece)
    file.seek(0)
    return content.hexdigest()


def require_file(product: DataProduct) -> None:
    """Make sure that the product's file can be read here.

    Raises:
        TaskError: it is not there.
    """
    if not product.data:
        raise TaskError("this data product has no file")
    if not product.data.storage.exists(product.data.name):
        raise TaskError(
            f"the file {product.get_file_name()} is not there where background jobs run: either it was "
            "deleted, or that place and the web server do not share the folder for uploads (MEDIA_ROOT); ask "
            "whoever runs this site"
        )


def name_beside(product: DataProduct, ending: str) -> str:
    """A name for what is made from a product, without "fits" in it: TOM Toolkit offers JS9 for such names."""
    stem = re.sub(r"(\.(fits?|fts|fz|gz))+$", "", product.get_file_name(), flags=re.IGNORECASE)
    stem = re.sub("fits", "", stem, flags=re.IGNORECASE).strip("._- ")
    return f"{stem or 'image'}{ending}"


def save_made(
    parent: DataProduct,
    files: Sequence[Made],
    *,
    owner_id: int | None,
    thumbnail: bytes = b"",
    also: Callable[[], None] = lambda: None,
) -> list[DataProduct]:
    """Save what was made from a product, all of it or nothing, and give the rights on it.

    Parameters:
        owner_id: who asked for it.
        thumbnail: a PNG that becomes the parent's own.
        also: called in the same transaction.

    Raises:
        Withdrawn: the parent has gone.
    """
    with _Shelf(parent) as shelf:
        names = [shelf.put("data", name_beside(parent, file.ending), file.content) for file in files]
        small = shelf.put_thumbnail(thumbnail) if thumbnail else ""
        with transaction.atomic(using=router.db_for_write(DataProduct)):
            _hold(parent)
            made = [_save(parent, file, name, shelf) for file, name in zip(files, names, strict=True)]
            for product in made:
                rights.grant_product(product, parent, owner_id)
            if small:
                _set_thumbnail(parent, small, shelf)
            also()
    return made


def pass_rights_on(dataproduct_id: int, owner_id: int | None) -> None:
    """Let whoever holds rights on a product by now have them on what was read and made from it, too."""
    product = DataProduct.objects.filter(pk=dataproduct_id).first()
    if product is None or rights.follow_the_target():
        return
    with transaction.atomic(using=router.db_for_write(DataProduct)):
        rights.grant_data(product, owner_id)
        for made in DataProduct.objects.filter(product_id__startswith=_identity(product, "")):
            rights.grant_product(made, product, owner_id)


def as_wide_as_shown(png: bytes) -> bytes:
    """Add margins to a picture until it is as wide as TOM Toolkit wants thumbnails: it draws others anew."""
    width = django_setting("THUMBNAIL_DEFAULT_SIZE", (200, 200))[0]
    picture = Image.open(io.BytesIO(png))
    if picture.width == width:
        return png
    picture.thumbnail((width, picture.height))
    whole = Image.new(picture.mode, (width, picture.height))
    whole.paste(picture, ((width - picture.width) // 2, 0))
    content = io.BytesIO()
    whole.save(content, "PNG", optimize=True)
    return content.getvalue()


class _Shelf:
    """Files put into storage for a product: they go if the block fails, else what they replace goes."""

    def __init__(self, parent: DataProduct) -> None:
        self.parent = parent
        self.new: list[tuple[Any, str]] = []
        self.old: list[tuple[Any, str]] = []

    def put(self, field_name: str, name: str, content: bytes) -> str:
        """Put a file where TOM Toolkit puts those of this field; the name that it got there."""
        field = DataProduct._meta.get_field(field_name)
        wanted = field.generate_filename(self.parent, name)
        kept = field.storage.save(wanted, ContentFile(content), max_length=field.max_length)
        self.new.append((field.storage, kept))
        return str(kept)

    def put_thumbnail(self, png: bytes) -> str:
        """Put a thumbnail of the product where TOM Toolkit puts those."""
        return self.put("thumbnail", name_beside(self.parent, "_tb.png"), as_wide_as_shown(png))

    def replace(self, file: Any) -> None:
        """This file is no longer needed once the block has succeeded."""
        if file and file.name:
            self.old.append((file.storage, file.name))

    def __enter__(self) -> _Shelf:
        return self

    def __exit__(self, kind: type[BaseException] | None, *_: object) -> None:
        if kind is not None:
            _delete(self.new)
        elif self.old:
            using = router.db_for_write(DataProduct)
            transaction.on_commit(lambda: _delete(self.old), using=using, robust=True)


def _delete(files: Sequence[tuple[Any, str]]) -> None:
    for storage, name in files:
        storage.delete(name)


def _hold(parent: DataProduct) -> None:
    """Keep the parent's row until the transaction ends."""
    rows = DataProduct.objects.select_for_update().filter(pk=parent.pk)
    if not list(rows.values_list("pk", flat=True)):
        raise Withdrawn(WITHDRAWN)


def _save(parent: DataProduct, file: Made, name: str, shelf: _Shelf) -> DataProduct:
    identity = _identity(parent, file.question)
    product = DataProduct.objects.filter(product_id=identity).first()
    if product is None:
        return DataProduct.objects.create(
            product_id=identity,
            target_id=parent.target_id,
            observation_record_id=parent.observation_record_id,
            data=name,
            data_product_type="",
            extra_data=f"Made by Nightshift from {os.path.basename(parent.data.name)}",
        )
    shelf.replace(product.data)
    # By update: TOM Toolkit's save() ignores update_fields and would write the whole row.
    fresh = {"data": name, "target_id": parent.target_id, "modified": timezone.now()}
    DataProduct.objects.filter(pk=product.pk).update(**fresh)
    return get(product.pk)


def _identity(parent: DataProduct, question: str) -> str:
    return f"nightshift:{parent.pk}:{question}"


def _set_thumbnail(parent: DataProduct, name: str, shelf: _Shelf) -> None:
    shelf.replace(DataProduct.objects.get(pk=parent.pk).thumbnail)
    DataProduct.objects.filter(pk=parent.pk).update(thumbnail=name)
