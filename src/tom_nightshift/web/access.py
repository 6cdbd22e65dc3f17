"""Who may see a job, and who may do something with it.

Nightshift itself knows owners, staff and superusers. What a job is *about* belongs to the site: ``toolkit/``
registers TOM Toolkit's rules here. Without rules only owners and staff see anything.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Protocol

from django.db.models import Q
from django.utils.http import url_has_allowed_host_and_scheme

from tom_nightshift.conf import django_setting
from tom_nightshift.models import Job, JobQuerySet


@dataclass(frozen=True, slots=True)
class Link:
    """A text that leads somewhere; without an address it is only a text."""

    text: str
    url: str = ""


class SubjectRules(Protocol):
    """What a site knows about the things that jobs are about."""

    def visible(self, user: Any) -> Q:
        """The jobs that this user may see because of what they are about."""
        ...

    def subject_link(self, job: Job, user: Any) -> Link | None:
        """What the job is about, if the user may see it."""
        ...

    def made_link(self, made: dict[str, Any], user: Any) -> Link | None:
        """A thing that a job made (``{"model", "pk", "label"}``), if the user may see it."""
        ...

    def may_see_target(self, user: Any, target_id: int) -> bool:
        """Whether the user may see this target."""
        ...


_rules: SubjectRules | None = None


def set_rules(rules: SubjectRules | None) -> None:
    """From now on these rules say who may see what a job is about; None: owners and staff only."""
    global _rules
    _rules = rules


def visible_jobs(user: Any) -> JobQuerySet:
    """The jobs that this user may know of."""
    jobs: JobQuerySet = Job.objects.all()
    if not is_somebody(user):
        return jobs.none()
    if sees_all(user):
        return jobs
    mine = Q(owner=user)
    if user.is_staff:
        mine |= Q(subject_type=None, target_id=None)  # about nothing that could be private
    return jobs.filter(mine if _rules is None else mine | _rules.visible(user))


def sees_all(user: Any) -> bool:
    """Whether this user may know of every job."""
    return is_somebody(user) and bool(user.is_superuser or (user.is_staff and _rules is None))


def may_act(user: Any, job: Job) -> bool:
    """Whether this user, who sees the job, may stop it or run it again."""
    return is_somebody(user) and (job.owner_id == user.pk or is_staff(user))


def may_see_details(user: Any, job: Job) -> bool:
    """Whether this user, who sees the job, may read its arguments, its log and its traceback."""
    return may_act(user, job)


def may_see_target(user: Any, target_id: int) -> bool:
    """Whether this user may see a target; never for anonymous visitors."""
    return is_somebody(user) and _rules is not None and _rules.may_see_target(user, target_id)


def may_see_name(user: Any, other: Any) -> bool:
    """Whether this user may read another's name (``TOM_HIDE_OTHER_USERS``)."""
    if other == user or not django_setting("TOM_HIDE_OTHER_USERS", False):
        return True
    return bool(is_somebody(user) and (is_staff(user) or user.has_perm("auth.view_user")))


def subject_link(job: Job, user: Any) -> Link | None:
    """What the job is about, if the user may see it."""
    return _rules.subject_link(job, user) if _rules is not None else None


def made_links(made: list[Any], user: Any) -> list[Link]:
    """What a job made, as far as the user may see it."""
    found = (_made_link(one, user) for one in made if isinstance(one, Mapping))
    return [link for link in found if link is not None]


def is_somebody(user: Any) -> bool:
    """Whether this is a person who is logged in."""
    return bool(user is not None and user.is_authenticated and user.is_active)


def is_staff(user: Any) -> bool:
    """Whether this is one of those who look after the site."""
    return bool(is_somebody(user) and (user.is_staff or user.is_superuser))


def _made_link(made: Mapping[str, Any], user: Any) -> Link | None:
    if "url" in made:
        return _safe_link(str(made["url"]), str(made.get("label") or made["url"]))
    return _rules.made_link(dict(made), user) if _rules is not None else None


def _safe_link(url: str, label: str) -> Link:
    """An address that a task gave: a link only if it leads to a page of this site."""
    own = url.startswith("/") and url_has_allowed_host_and_scheme(url, allowed_hosts=None)
    return Link(label, url if own else "")
