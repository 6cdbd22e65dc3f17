"""Who may see a job because of what it is about."""

from __future__ import annotations

import pytest
from django.contrib.auth.models import AnonymousUser
from guardian.shortcuts import assign_perm
from guardian.utils import get_anonymous_user
from tom_observations.models import ObservationRecord

from tests.toolkit.conftest import make_product, make_target
from tom_nightshift import testing
from tom_nightshift.models import Job
from tom_nightshift.toolkit.rules import ToolkitRules
from tom_nightshift.toolkit.tasks import process_upload
from tom_nightshift.web import access

pytestmark = [pytest.mark.tom, pytest.mark.django_db]

rules = ToolkitRules()


def job_about(product, owner=None):
    with testing.waiting():
        process_upload.send_with_options(args=(product.pk,), owner=owner)
    return Job.objects.latest("id")


def sees(user, job):
    return access.visible_jobs(user).filter(pk=job.pk).exists()


def test_the_job_knows_its_target(target):
    product = make_product(target)
    job = job_about(product)
    assert (job.subject, job.target_id) == (product, target.pk)


def test_its_owner_sees_it(target, pi, permissions_by_target):
    assert sees(pi, job_about(make_product(target), owner=pi))


def test_a_superuser_sees_it(target, boss, permissions_by_target):
    assert sees(boss, job_about(make_product(target)))


def test_a_collaborator_sees_what_is_shared(target, collab, permissions_by_target):
    product = make_product(target)
    job = job_about(product)
    assert not sees(collab, job)
    if permissions_by_target:
        assign_perm("tom_targets.view_target", collab, target)
    else:
        assign_perm("tom_dataproducts.view_dataproduct", collab, product)
    assert sees(collab, job)


def test_by_object_the_target_s_rights_are_not_enough(target, collab, by_object):
    assign_perm("tom_targets.view_target", collab, target)
    assert not sees(collab, job_about(make_product(target)))


def test_staff_see_no_private_target(target, staff, permissions_by_target):
    assert not sees(staff, job_about(make_product(target)))


@pytest.mark.parametrize("nobody", [AnonymousUser, get_anonymous_user], ids=["nobody", "the row for nobody"])
@pytest.mark.parametrize("open_to", ["PRIVATE", "PUBLIC", "OPEN"])
def test_nobody_sees_nothing(target, permissions_by_target, nobody, open_to):
    target.permissions = open_to
    target.save()
    product = make_product(target)
    job = job_about(product)
    assert not sees(nobody(), job)
    assert not Job.objects.filter(rules.visible(nobody())).exists()
    assert rules.subject_link(job, nobody()) is None
    assert not rules.may_see_target(nobody(), target.pk)
    assert (
        rules.made_link({"model": "tom_dataproducts.dataproduct", "pk": product.pk, "label": "x"}, nobody())
        is None
    )


def test_a_public_target_s_job_is_for_all_who_log_in(target, collab):
    target.permissions = "PUBLIC"
    target.save()
    assert sees(collab, job_about(make_product(target)))


def test_who_put_a_file_on_a_target_that_is_not_theirs_sees_nothing_of_the_target(target, collab):
    job = job_about(make_product(target), owner=collab)
    assert sees(collab, job)
    assert rules.subject_link(job, collab) is None
    assert not rules.may_see_target(collab, target.pk)


def test_the_link_names_the_target(target, pi):
    link = rules.subject_link(job_about(make_product(target)), pi)
    assert (link.text, link.url) == ("M13", f"/targets/{target.pk}/")


def test_observations_have_rights_of_their_own(target, pi, collab, by_object):
    from django.contrib.contenttypes.models import ContentType

    record = ObservationRecord.objects.create(
        target=target, facility="LCO", observation_id="1", status="", parameters={}
    )
    job = job_about(make_product(target))
    Job.objects.filter(pk=job.pk).update(
        subject_type=ContentType.objects.get_for_model(ObservationRecord), subject_id=record.pk
    )
    assert not sees(pi, job)
    assign_perm("tom_observations.view_observationrecord", pi, record)
    assert sees(pi, job)
    assert not sees(collab, job)


def test_by_object_other_jobs_about_a_target_follow_the_target(target, pi, collab, by_object):
    job = job_about(make_product(target))
    Job.objects.filter(pk=job.pk).update(subject_type=None, subject_id=None)
    assert sees(pi, job)
    assert not sees(collab, job)


def test_what_was_made_is_linked_for_those_who_may_see_it(target, pi, collab):
    product = make_product(target)
    made = {"model": "tom_dataproducts.dataproduct", "pk": product.pk, "label": "Catalogue"}
    link = rules.made_link(made, pi)
    assert (link.text, link.url) == ("Catalogue", product.data.url)
    assert rules.made_link(made, collab) is None


def test_what_has_gone_is_not_linked(pi):
    assert rules.made_link({"model": "tom_dataproducts.dataproduct", "pk": 404, "label": "x"}, pi) is None
    assert rules.made_link({"model": "their.model", "pk": 1, "label": "x"}, pi) is None


def test_two_targets_are_told_apart(target, pi, collab):
    other = make_target("M3", collab)
    job = job_about(make_product(other))
    assert sees(collab, job)
    assert not sees(pi, job)
