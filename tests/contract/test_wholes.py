"""Jobs that belong together: which part and step each is, how far the whole is, and Stop on all of it."""

from __future__ import annotations

import dramatiq
import pytest
from django.db import transaction

from tests.support.jobs import actor, own_sql, reached, running
from tests.support.rivals import race
from tests.support.waiting import wait_until
from tom_nightshift import checkpoint, group, stack
from tom_nightshift.broker.broker import DatabaseBroker
from tom_nightshift.exceptions import ArgumentsRefused
from tom_nightshift.ledger import wholes
from tom_nightshift.ledger.enqueue import ask_again
from tom_nightshift.ledger.pruning import remove
from tom_nightshift.models import Job, Place
from tom_nightshift.states import State


@pytest.fixture
def add(broker):
    return actor(lambda a, b: a + b, actor_name="add", broker=broker)


@pytest.fixture
def fail(broker):
    return actor(lambda *_: 1 / 0, actor_name="fail", broker=broker)


@pytest.fixture
def all_end(broker):
    def run():
        with running(broker):
            wait_until(lambda: not Job.objects.open().exists())
        return list(Job.objects.order_by("id"))

    return run


def places():
    """(part, parts, step, steps) of all jobs in order."""
    return list(Place.objects.order_by("job").values_list("part", "parts", "step", "steps"))


def count_of(whole):
    with own_sql() as sql:
        count = wholes.counts(sql, [whole])[whole]
    return count.done, count.total, count.failed, count.stopped, count.running, count.waiting


def again(broker, job):
    return ask_again(broker, bytes(job.message), owner=None, origin=job.id, root=job.root or job.id)


class TestGroups:
    def test_each_part_knows_its_place_and_the_first(self, broker, add):
        group([add.message(number, 1) for number in range(3)], broker=broker, title="Three sums").run()
        first, *others = Job.objects.order_by("id")
        assert places() == [(1, 3, 0, 0), (2, 3, 0, 0), (3, 3, 0, 0)]
        assert set(Place.objects.values_list("whole", "title")) == {(first.id, "Three sums")}
        assert (first.root, [job.root for job in others]) == (None, [first.id] * 2)

    def test_it_counts(self, broker, add, fail, all_end):
        group([add.message(1, 1), fail.message(), add.message(2, 2)], broker=broker).run()
        whole = Job.objects.earliest("id").id
        assert count_of(whole) == (0, 3, 0, 0, 0, 3)
        all_end()
        assert count_of(whole) == (2, 3, 1, 0, 0, 0)

    def test_a_part_that_is_run_again_counts_as_its_newest_job(self, broker, add, all_end):
        broken = [True]
        mend = actor(lambda: 1 / 0 if broken else 1, actor_name="mend", broker=broker)
        group([add.message(1, 1), mend.message()], broker=broker).run()
        first, failed = all_end()
        broken.clear()
        again(broker, failed)
        assert count_of(first.id) == (1, 2, 0, 0, 0, 1)
        newest = all_end()[-1]
        assert count_of(first.id) == (2, 2, 0, 0, 0, 0)
        assert (newest.root, newest.place.part) == (first.id, 2)

    def test_it_is_asked_for_as_a_whole_or_not_at_all(self, broker, add):
        with pytest.raises(ArgumentsRefused):
            group([add.message(1, 1), add.message(object(), 1)], broker=broker).run()
        assert (Job.objects.count(), Place.objects.count()) == (0, 0)

    def test_what_comes_after_all_parts_is_no_part(self, broker, add, all_end):
        whole = group([add.message(1, 1), add.message(2, 2)], broker=broker)
        whole.add_completion_callback(add.message(5, 5))
        whole.run()
        *_, last = all_end()
        assert last.place.is_last
        assert count_of(last.place.whole) == (2, 2, 0, 0, 0, 0)
        assert last.root == last.place.whole

    def test_groups_and_pipelines_in_it_are_parts(self, broker, add, all_end):
        line = dramatiq.pipeline([add.message(1, 1), add.message(1)], broker=broker)
        inner = group([add.message(3, 3), add.message(4, 4)], broker=broker)
        group([add.message(2, 2), line, inner], broker=broker).run()
        all_end()
        assert sorted(places()) == [(1, 4, 0, 0), (2, 4, 1, 2), (2, 4, 2, 2), (3, 4, 0, 0), (4, 4, 0, 0)]
        assert Place.objects.values("whole").distinct().count() == 1
        assert count_of(Place.objects.first().whole) == (4, 4, 0, 0, 0, 0)

    def test_an_open_job_that_has_the_key_of_a_part_is_that_part(self, broker, add, all_end):
        only = actor(lambda: 1, actor_name="only", unique=True, broker=broker)
        there = only.send()
        group([add.message(1, 1), only.message()], broker=broker).run()
        job = Job.objects.get(message_id=there.message_id)
        assert (job.place.part, job.place.whole) == (2, Job.objects.get(task="add").id)
        all_end()
        assert count_of(job.place.whole) == (2, 2, 0, 0, 0, 0)

    def test_one_that_a_job_asks_for_hangs_below_that_job(self, broker, add, all_end):
        def ask():
            group([add.message(1, 1), add.message(2, 2)], broker=broker).run()

        actor(ask, broker=broker).send()
        asker, first, second = all_end()
        assert {(job.parent, job.root) for job in (first, second)} == {(asker.id, asker.id)}
        assert not Place.objects.filter(job=asker).exists()
        assert first.place.whole == second.place.whole == first.id

    def test_two_at_once_stay_apart(self, broker, add):
        race(3, lambda _: group([add.message(1, 1) for _ in range(4)], broker=broker).run())
        assert sorted(Place.objects.values_list("part", flat=True)) == sorted([1, 2, 3, 4] * 3)
        assert Place.objects.values("whole").distinct().count() == 3

    def test_after_one_that_was_refused_others_are_no_part_of_it(self, broker, add):
        with pytest.raises(ArgumentsRefused):
            group([add.message(object(), 1)], broker=broker).run()
        add.send(1, 1)
        assert not Place.objects.exists()

    def test_what_parts_ask_for_that_run_at_once_is_no_part(self, transactional_db, nightshift):
        eager = DatabaseBroker(stack.middleware(), runs_here=lambda: True)
        inner = actor(lambda: None, actor_name="inner", broker=eager)

        def outer():
            inner.send()

        outer = actor(outer, broker=eager)
        group([outer.message(), outer.message()], broker=eager).run()
        assert set(Place.objects.values_list("job__task", "parts")) == {("outer", 2)}
        assert set(Job.objects.values_list("task", "state")) == {
            ("inner", "succeeded"),
            ("outer", "succeeded"),
        }


class TestSteps:
    def test_each_knows_which_it_is(self, broker, add, all_end):
        dramatiq.pipeline([add.message(1, 1), add.message(1), add.message(1)], broker=broker).run()
        first = Job.objects.get()
        assert count_of(first.id) == (0, 3, 0, 0, 0, 1)
        all_end()
        assert places() == [(0, 0, 1, 3), (0, 0, 2, 3), (0, 0, 3, 3)]
        assert count_of(first.id) == (3, 3, 0, 0, 0, 0)

    def test_run_again_from_one_on(self, broker, add, all_end):
        broken = [True]
        mend = actor(lambda value: 1 / 0 if broken else value, actor_name="mend", broker=broker)
        dramatiq.pipeline([add.message(1, 1), mend.message(), add.message(1)], broker=broker).run()
        first, failed = all_end()
        assert count_of(first.id) == (1, 3, 1, 0, 0, 0)
        broken.clear()
        again(broker, failed)
        all_end()
        assert places() == [(0, 0, 1, 3), (0, 0, 2, 3), (0, 0, 2, 3), (0, 0, 3, 3)]
        assert count_of(first.id) == (3, 3, 0, 0, 0, 0)

    def test_a_job_alone_has_no_place(self, broker, add, all_end):
        add.send(1, 1)
        dramatiq.pipeline([add.message(1, 1)], broker=broker).run()
        all_end()
        assert not Place.objects.exists()


class TestStop:
    def test_all_of_it(self, broker, add):
        def linger():
            while True:
                checkpoint()

        task = actor(linger, broker=broker)
        whole = group([task.message(), *(add.message(1, 1) for _ in range(5))], broker=broker)
        whole.add_completion_callback(add.message(9, 9))
        with running(broker, threads=1):
            whole.run()
            reached(whole.children[0], state=State.RUNNING)
            first = Job.objects.earliest("id")
            with own_sql() as sql:
                assert wholes.stop(sql, first.id, "Ann") == 6
            wait_until(lambda: not Job.objects.open().exists())
        assert set(Job.objects.values_list("state", "stop_by")) == {("stopped", "Ann")}
        assert Job.objects.count() == 6

    def test_nothing_else(self, broker, add):
        with transaction.atomic():
            group([add.message(1, 1)], broker=broker).run()
            other = add.send(1, 1)
        with own_sql() as sql:
            wholes.stop(sql, Place.objects.get().whole, "Ann")
        assert Job.objects.get(message_id=other.message_id).state == State.WAITING


def test_places_go_with_their_jobs(broker, add):
    group([add.message(1, 1), add.message(2, 2)], broker=broker).run()
    first, second = Job.objects.order_by("id")
    with own_sql() as sql:
        remove(sql, [first.id])
    assert Place.objects.get().job_id == second.id
