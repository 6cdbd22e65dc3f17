"""What a target's Jobs tab offers: finding the sources in one of its images."""

from __future__ import annotations

from typing import Any

from django.core.exceptions import PermissionDenied
from django.db.models import Q

from tom_nightshift.toolkit import extraction, uploads
from tom_nightshift.toolkit.rules import visible_products
from tom_nightshift.web.offers import Choice, Offer

FITS_NAME = r"\.(fits?|fts)(\.(gz|fz))?$|\.fz$"
MOST_CHOICES = 200


def choices(target_id: int, user: Any) -> list[Choice]:
    """The target's FITS files that this user may see, the newest first."""
    found = _images(user).filter(target_id=target_id).order_by("-created", "-pk")[:MOST_CHOICES]
    return [Choice(product.pk, product.get_file_name()) for product in found]


def ask(key: int, user: Any) -> int:
    """Ask for the sources in one of them. The job's id.

    Raises:
        PermissionDenied: this user may not see it.
    """
    product = _images(user).filter(pk=key).first()
    if product is None:
        raise PermissionDenied("There is no such FITS file that you may see.")
    title = f"Find sources in {product.get_file_name()}"
    return uploads.ask(extraction.task(), product, title, owner=user, asked=True)


FIND_SOURCES = Offer(
    slug="find-sources",
    label="Find sources in an image",
    help_text="Finds and measures the sources in a FITS image of this target, and makes a catalogue of them.",
    choices=choices,
    ask=ask,
    title_none="This target has no FITS file that you may see.",
)


def _images(user: Any) -> Any:
    is_image = Q(data_product_type="fits_file") | Q(data__iregex=FITS_NAME)
    return visible_products(user).filter(is_image).exclude(data="").exclude(data=None)
