"""People, a target, and jobs in any state, as the pages find them."""

from __future__ import annotations

import uuid
from collections.abc import Callable
from typing import Any

import dramatiq
import pytest
from django.test import Client
from django.utils import timezone
from dramatiq import Message

from tom_nightshift.models import Attempt, Job, Log, Picture

MakeJob = Callable[..., Job]

HTMX = {"HTTP_HX_REQUEST": "true"}


@pytest.fixture(scope="session", autouse=True)
def tasks() -> None:
    """Three tasks that this process knows: an ordinary one, one that must not be repeated, and one of which
    one job at a time is open.
    """

    @dramatiq.actor(actor_name="pages_find", title="Find {name}")
    def find(name: str, api_token: str = "") -> None: ...

    @dramatiq.actor(actor_name="pages_once", repeatable=False)
    def once() -> None: ...

    @dramatiq.actor(actor_name="pages_unique", unique="pages")
    def unique() -> None: ...


@pytest.fixture
def people(db: None, django_user_model: Any) -> dict[str, Any]:
    """The owner of the jobs, somebody else, and staff."""
    names = {
        "owner": {},
        "other": {},
        "staff": {"is_staff": True},
        "boss": {"is_staff": True, "is_superuser": True},
    }
    return {
        name: django_user_model.objects.create_user(name, password="x", **more)
        for name, more in names.items()
    }


@pytest.fixture
def as_(people: dict[str, Any]) -> Callable[[str], Client]:
    """A browser in which this person is logged in; nobody for the empty name."""

    def browser(name: str) -> Client:
        client = Client()
        if name:
            client.force_login(people[name])
        return client

    return browser


@pytest.fixture
def target(people: dict[str, Any]) -> Any:
    """A private target that its owner and the other may see."""
    from guardian.shortcuts import assign_perm
    from tom_targets.models import Target

    made = Target.objects.create(name="M13", type="SIDEREAL", ra=250.4, dec=36.5)
    for name in ("owner", "other"):
        assign_perm("tom_targets.view_target", people[name], made)
    return made


@pytest.fixture
def make_job(people: dict[str, Any]) -> MakeJob:
    """Write the row of a job, in any state."""

    def make(state: str = "succeeded", *, task: str = "pages_find", **fields: Any) -> Job:
        now = timezone.now()
        begun = state != "waiting"
        over = state not in ("waiting", "running")
        defaults = {
            "message_id": uuid.uuid4(),
            "message": encoded(task),
            "queue": "default",
            "task": task,
            "title": "Find m13.fits",
            "state": state,
            "owner": people["owner"],
            "attempt": 1 if begun else 0,
            "created_at": now,
            "claimed_at": now if begun else None,
            "started_at": now if begun else None,
            "finished_at": now if over else None,
        }
        return Job.objects.create(**defaults | fields)

    return make


@pytest.fixture
def full_job(make_job: MakeJob) -> Job:
    """A job with everything that only its owner and staff may read, and a picture."""
    job = make_job(
        "failed",
        error="KeyError: 'hidden error'",
        reason="KeyError",
        result={"value": {"odd": "hidden value"}, "made": [], "warnings": []},
    )
    Log.objects.create(job=job, attempt=1, seq=0, text="12:00:00 hidden log\n")
    Attempt.objects.create(
        job=job, number=1, outcome="failed", finished_at=timezone.now(), traceback="hidden traceback",
        worker="hidden worker", error="KeyError: 'hidden error'",
    )  # fmt: skip
    Picture.objects.create(
        job=job, caption="M13, marked", content_type="image/png", width=2, height=1, data=b"\x89PNG"
    )
    return job


def encoded(task: str, **kwargs: Any) -> bytes:
    """The message of a job."""
    arguments = kwargs or ({"name": "hidden argument", "api_token": "s3cr3t"} if task == "pages_find" else {})
    return Message(queue_name="default", actor_name=task, args=(), kwargs=arguments, options={}).encode()
