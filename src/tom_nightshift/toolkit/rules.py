"""Who may see a job because of what it is about: TOM Toolkit's own rules, in both of its permission modes.

With ``TARGET_PERMISSIONS_ONLY`` a job is seen by whoever may see its target. Without it, observations and
data products have rights of their own, and jobs about them follow those. A person who put a file on a target
that is not theirs to see (TOM Toolkit lets them) sees their own job, and nothing of the target.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from django.contrib.contenttypes.models import ContentType
from django.db.models import Q, QuerySet
from django.urls import reverse
from guardian.conf.settings import ANONYMOUS_USER_NAME
from guardian.shortcuts import get_objects_for_user
from tom_dataproducts.models import DataProduct
from tom_observations.models import ObservationRecord
from tom_targets.base_models import BaseTarget
from tom_targets.models import Target
from tom_targets.permissions import targets_for_user

from tom_nightshift.models import Job
from tom_nightshift.toolkit import rights
from tom_nightshift.web.access import Link

NOTHING = Q(pk__in=[])


class ToolkitRules:
    """TOM Toolkit's rules, as ``web/access.py`` asks for them."""

    def visible(self, user: Any) -> Q:
        """The jobs that this user may see because of what they are about."""
        if not is_a_person(user):
            return NOTHING
        by_target = Q(target_id__in=visible_targets(user).values("pk"))
        if rights.follow_the_target():
            return by_target
        products, records = _type_of(DataProduct), _type_of(ObservationRecord)
        return (
            (by_target & ~_about(products, records))
            | Q(subject_type=products, subject_id__in=visible_products(user).values("pk"))
            | Q(subject_type=records, subject_id__in=_visible_records(user).values("pk"))
        )

    def subject_link(self, job: Job, user: Any) -> Link | None:
        """The target that a job is about, if the user may see it; without one, nothing is said."""
        if job.target_id is None or not self.may_see_target(user, job.target_id):
            return None
        name = BaseTarget.objects.filter(pk=job.target_id).values_list("name", flat=True).first()
        return Link(str(name), _target_page(job.target_id))

    def made_link(self, made: dict[str, Any], user: Any) -> Link | None:
        """A thing that a job made, if it is still there and the user may see it."""
        find = _LINKS.get(str(made.get("model", "")).lower())
        if find is None or not is_a_person(user):
            return None
        url = find(user, made.get("pk"))
        return Link(str(made.get("label") or url), url) if url else None

    def may_see_target(self, user: Any, target_id: int) -> bool:
        """Whether the user may see this target."""
        return is_a_person(user) and bool(visible_targets(user).filter(pk=target_id).exists())


def is_a_person(user: Any) -> bool:
    """Whether somebody is logged in; the row that Guardian keeps for everybody else is nobody."""
    return bool(user is not None and user.is_authenticated and user.get_username() != ANONYMOUS_USER_NAME)


def visible_targets(user: Any) -> QuerySet[Any]:
    """The targets that a person may see."""
    found: QuerySet[Any] = targets_for_user(user, Target.objects.all(), "view_target")
    return found


def visible_products(user: Any) -> Any:
    """The data products that a person may see."""
    if not is_a_person(user):
        return DataProduct.objects.none()
    if rights.follow_the_target():
        return DataProduct.objects.filter(target_id__in=visible_targets(user).values("pk"))
    return get_objects_for_user(user, "tom_dataproducts.view_dataproduct")


def _visible_records(user: Any) -> Any:
    if rights.follow_the_target():
        return ObservationRecord.objects.filter(target_id__in=visible_targets(user).values("pk"))
    return get_objects_for_user(user, "tom_observations.view_observationrecord")


def _about(*kinds: ContentType) -> Q:
    """The jobs about one of these kinds of things; about nothing at all does not count."""
    return Q(subject_type__isnull=False, subject_type__in=kinds)


def _type_of(model: Any) -> ContentType:
    return ContentType.objects.get_for_model(model)


def _target_page(target_id: int) -> str:
    return reverse("targets:detail", kwargs={"pk": target_id})


def _url_of_product(user: Any, pk: Any) -> str:
    product = visible_products(user).filter(pk=pk).first()
    return product.data.url if product is not None and product.data else ""


def _url_of_record(user: Any, pk: Any) -> str:
    there = _visible_records(user).filter(pk=pk).exists()
    return reverse("tom_observations:detail", kwargs={"pk": pk}) if there else ""


def _url_of_target(user: Any, pk: Any) -> str:
    return _target_page(pk) if visible_targets(user).filter(pk=pk).exists() else ""


_LINKS: dict[str, Callable[[Any, Any], str]] = {
    DataProduct._meta.label_lower: _url_of_product,
    ObservationRecord._meta.label_lower: _url_of_record,
    BaseTarget._meta.label_lower: _url_of_target,
    Target._meta.label_lower: _url_of_target,
}
