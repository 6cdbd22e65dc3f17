"""What a site does to its own rows once Nightshift is not among its apps: nothing of ours forbids it."""

from __future__ import annotations

import pytest
from django.contrib.auth import get_user_model
from django.contrib.contenttypes.models import ContentType
from django.db import connection

from tests.support.jobs import actor, job_of
from tom_nightshift.models import Job


@pytest.fixture
def job(broker):
    """A job of a person, about something of a kind that nothing else needs."""
    person = get_user_model().objects.create_user("ann")
    kind = ContentType.objects.create(app_label="gone", model="gone")
    message = actor(lambda: None, actor_name="task", broker=broker).send()
    Job.objects.filter(pk=job_of(message).pk).update(owner=person, subject_type=kind, subject_id=1)
    return Job.objects.get(message_id=message.message_id)


def test_people_and_kinds_that_jobs_name_can_be_deleted(job):
    with connection.cursor() as cursor:
        cursor.execute("DELETE FROM auth_user WHERE id = %s", [job.owner_id])
        cursor.execute("DELETE FROM django_content_type WHERE id = %s", [job.subject_type_id])
    connection.check_constraints()
    left = Job.objects.get(pk=job.pk)
    assert (left.owner_id, left.owner_or_none, left.subject_or_none) == (job.owner_id, None, None)
    assert Job.objects.select_related("owner").get(pk=job.pk).owner_or_none is None


def test_with_nightshift_there_a_deleted_person_leaves_no_trace(job):
    job.owner.delete()
    assert Job.objects.get(pk=job.pk).owner_id is None
