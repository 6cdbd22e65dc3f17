"""Rights on what a job made: for its owner, and for the groups that hold rights on what it was made from.

With ``TARGET_PERMISSIONS_ONLY`` everything follows the target, as in TOM Toolkit, and nothing is given here.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from typing import Any

from django.contrib.auth import get_user_model
from django.db.models import QuerySet
from guardian.shortcuts import assign_perm, get_groups_with_perms
from tom_dataproducts.models import REDUCED_DATUM_MODELS, DataProduct

from tom_nightshift.conf import django_setting

VIEW, DELETE = "view_dataproduct", "delete_dataproduct"
AT_A_TIME = 2000
"""Objects that rights are given on in one statement: databases take only so many values."""


def follow_the_target() -> bool:
    """Whether rights on a target are all the rights there are."""
    return bool(django_setting("TARGET_PERMISSIONS_ONLY", True))


def grant_product(made: DataProduct, parent: DataProduct, owner_id: int | None) -> None:
    """Let the owner, and the groups that hold rights on the parent, see and delete what was made from it."""
    if follow_the_target():
        return
    for holder, codenames in _holders(parent, owner_id):
        for codename in {VIEW, DELETE} & set(codenames):
            assign_perm(f"tom_dataproducts.{codename}", holder, made)


def grant_data(product: DataProduct, owner_id: int | None) -> None:
    """Let the owner, and the groups that may see a data product, see the data that were read from it.

    TOM Toolkit itself cannot: what it has in hand after ``bulk_create`` has no keys.
    """
    if follow_the_target():
        return
    holders = [holder for holder, codenames in _holders(product, owner_id) if VIEW in codenames]
    for model in REDUCED_DATUM_MODELS:
        for part in _in_parts(model.objects.filter(data_product=product)):
            for holder in holders:
                assign_perm(f"tom_dataproducts.view_{model._meta.model_name}", holder, part)


def _holders(product: DataProduct, owner_id: int | None) -> Iterator[tuple[Any, Iterable[str]]]:
    """Whom rights are given to, with the rights on data products that they are to have."""
    owner = owner_id and get_user_model()._default_manager.filter(pk=owner_id).first()
    if owner:
        yield owner, (VIEW, DELETE)
    groups: Mapping[Any, Iterable[str]] = get_groups_with_perms(product, attach_perms=True)
    yield from groups.items()


def _in_parts(data: QuerySet[Any]) -> Iterator[QuerySet[Any]]:
    keys = list(data.order_by("pk").values_list("pk", flat=True))
    for start in range(0, len(keys), AT_A_TIME):
        yield data.model.objects.filter(pk__in=keys[start : start + AT_A_TIME])
