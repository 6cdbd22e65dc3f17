"""Dramatiq's rate limiters and barriers, with the jobs' database under them."""

from __future__ import annotations

import threading
import time
from contextlib import contextmanager

import pytest
from django.db import connection, transaction
from dramatiq import RateLimitExceeded
from dramatiq.rate_limits import Barrier, BucketRateLimiter, ConcurrentRateLimiter, WindowRateLimiter

from tests.support.rivals import race
from tests.support.waiting import wait_until
from tom_nightshift.broker.rate_limits import DatabaseRates
from tom_nightshift.exceptions import WaitRefused
from tom_nightshift.ledger import pruning, values
from tom_nightshift.ledger.session import OwnConnection, callers_transaction
from tom_nightshift.models import Value

MINUTE = 60_000
RIVALS = 6


@pytest.fixture
def rates(transactional_db, nightshift):
    return DatabaseRates()


@pytest.fixture
def at_noon(monkeypatch):
    """Set Dramatiq's own clock, by which it names buckets and windows; it then stands still."""

    def set_to(seconds):
        monkeypatch.setattr("dramatiq.rate_limits.bucket.time.time", lambda: 1_000_000_000 + seconds)

    set_to(0)
    return set_to


def value_of(key):
    with callers_transaction() as sql:
        return values.read(sql, key)


class TestKeys:
    def test_a_key_is_added_once(self, rates):
        assert rates.add("key", 3, MINUTE)
        assert not rates.add("key", 5, MINUTE)
        assert value_of("key") == 3

    def test_it_goes_up_to_its_maximum(self, rates):
        assert [rates.incr("key", 2, 5, MINUTE) for _ in range(3)] == [True, True, False]
        assert value_of("key") == 4
        assert not rates.incr("other", 6, 5, MINUTE)
        assert value_of("other") is None

    def test_it_goes_down_to_its_minimum(self, rates):
        rates.add("key", 3, MINUTE)
        assert [rates.decr("key", 1, 1, MINUTE) for _ in range(3)] == [True, True, False]
        assert value_of("key") == 1
        assert not rates.decr("other", 1, 0, MINUTE)
        assert rates.decr("below", 1, -1, MINUTE)
        assert value_of("below") == -1

    def test_it_goes_up_by_the_sum_of_others(self, rates):
        rates.add("a", 3, MINUTE)
        keys = lambda: ["a", "b"]  # noqa: E731
        assert [rates.incr_and_sum("b", keys, 1, 5, MINUTE) for _ in range(3)] == [True, True, False]
        assert value_of("b") == 2

    def test_after_its_time_it_is_not_there(self, rates, step_clock):
        rates.add("added", 3, MINUTE)
        rates.incr("raised", 3, 3, MINUTE)
        step_clock(61)
        assert value_of("added") is None
        assert not rates.decr("added", 1, 0, MINUTE)
        assert rates.incr("raised", 2, 3, MINUTE)
        assert value_of("raised") == 2
        assert rates.add("added", 1, MINUTE)

    def test_a_change_gives_it_time(self, rates, step_clock):
        rates.add("key", 0, MINUTE)
        step_clock(40)
        rates.incr("key", 1, 9, MINUTE)
        step_clock(40)
        assert value_of("key") == 1

    def test_a_key_that_is_too_long_is_refused(self, rates):
        with pytest.raises(ValueError, match="at most 300"):
            rates.add("k" * 301, 1, MINUTE)

    def test_old_ones_are_pruned(self, rates, step_clock):
        rates.add("old", 1, MINUTE)
        rates.add("young", 1, 3 * MINUTE)
        step_clock(61)
        own = OwnConnection()
        pruning.prune(own)
        own.close()
        assert list(Value.objects.values_list("key", flat=True)) == ["young"]


class TestAtOnce:
    """No two threads take the same place."""

    def test_one_adds(self, rates):
        assert sorted(race(RIVALS, lambda _: rates.add("key", 1, MINUTE))) == [False] * 5 + [True]

    def test_no_step_is_lost_and_none_is_too_many(self, rates):
        def climb(_):
            return sum(rates.incr("key", 1, 50, MINUTE) for _ in range(10))

        assert sum(race(RIVALS, climb)) == 50
        assert value_of("key") == 50

    def test_the_last_ones_down_find_the_floor(self, rates):
        rates.add("key", 40, MINUTE)
        assert sum(race(RIVALS, lambda _: sum(rates.decr("key", 1, 1, MINUTE) for _ in range(10)))) == 39

    def test_a_sum_is_never_too_large(self, rates):
        def climb(number):
            keys = [f"key{other}" for other in range(RIVALS)]
            return sum(rates.incr_and_sum(keys[number], lambda: keys, 1, 40, MINUTE) for _ in range(10))

        assert sum(race(RIVALS, climb)) == 40


class TestLimiters:
    def test_so_many_at_once(self, rates):
        limiter = ConcurrentRateLimiter(rates, "atlas", limit=2)
        with limiter.acquire(), limiter.acquire():
            with limiter.acquire(raise_on_failure=False) as acquired:
                assert not acquired
            with pytest.raises(RateLimitExceeded), limiter.acquire():
                pass
        with limiter.acquire() as acquired:
            assert acquired
        assert value_of("atlas") == 0

    def test_a_mutex_keeps_threads_apart(self, rates):
        inside, most = [], []

        def enter(_):
            with ConcurrentRateLimiter(rates, "mutex", limit=1).acquire(raise_on_failure=False) as acquired:
                if acquired:
                    inside.append(1)
                    most.append(len(inside))
                    inside.pop()
                return acquired

        assert any(race(RIVALS, enter))
        assert max(most) == 1

    def test_so_many_in_a_bucket_of_time(self, rates, at_noon):
        limiter = BucketRateLimiter(rates, "atlas", limit=3, bucket=MINUTE)
        assert sum(race(RIVALS, lambda _: taken(limiter))) == 3
        at_noon(60)
        assert [taken(limiter) for _ in range(4)] == [True] * 3 + [False]

    def test_so_many_in_a_window_of_time(self, rates, at_noon):
        limiter = WindowRateLimiter(rates, "atlas", limit=3, window=10)
        assert taken(limiter)
        at_noon(5)
        assert sum(race(RIVALS, lambda _: taken(limiter))) == 2
        at_noon(10)  # the first one has left the window
        assert [taken(limiter) for _ in range(2)] == [True, False]
        at_noon(15)
        assert [taken(limiter) for _ in range(3)] == [True, True, False]

    def test_what_is_taken_inside_a_transaction_counts_at_once(self, rates):
        limiter = ConcurrentRateLimiter(rates, "mutex", limit=1)
        with transaction.atomic(), limiter.acquire():
            if connection.vendor == "postgresql":  # on SQLite nobody else could take it, or write at all
                assert race(1, lambda _: taken(limiter)) == [False]
            assert not taken(limiter)
        assert taken(limiter)


class TestBarriers:
    def test_the_last_one_is_told(self, rates):
        barrier = Barrier(rates, "three", ttl=MINUTE)
        assert barrier.create(parties=3)
        assert not barrier.create(parties=10)
        assert [barrier.wait(block=False) for _ in range(3)] == [False, False, True]

    def test_of_many_at_once_one_is_the_last(self, rates):
        Barrier(rates, "all", ttl=MINUTE).create(parties=RIVALS)
        got = race(RIVALS, lambda _: Barrier(rates, "all", ttl=MINUTE).wait(block=False))
        assert sorted(got) == [False] * (RIVALS - 1) + [True]

    def test_those_who_block_go_on_together(self, rates):
        Barrier(rates, "all", ttl=MINUTE).create(parties=RIVALS)
        got = race(RIVALS, lambda _: Barrier(rates, "all", ttl=MINUTE).wait(timeout=10_000))
        assert got == [True] * RIVALS

    def test_nobody_waits_longer_than_asked(self, rates):
        barrier = Barrier(rates, "two", ttl=MINUTE)
        barrier.create(parties=2)
        began = time.monotonic()
        assert not barrier.wait(timeout=50)
        assert time.monotonic() - began < 5

    def test_waiting_for_ever_ends_when_the_last_one_comes(self, rates):
        barrier = Barrier(rates, "two", ttl=MINUTE)
        barrier.create(parties=2)
        with in_thread(lambda: barrier.wait()) as got:
            wait_until(lambda: value_of("two") == 1)
            assert barrier.wait(block=False)
        assert got == [True]

    def test_a_wait_that_cannot_end_is_refused(self, rates):
        if connection.vendor != "sqlite":
            pytest.skip("elsewhere others can write meanwhile")
        barrier = Barrier(rates, "two", ttl=MINUTE)
        barrier.create(parties=2)
        with transaction.atomic(), pytest.raises(WaitRefused, match="after the block"):
            barrier.wait(timeout=1000)


def taken(limiter):
    with limiter.acquire(raise_on_failure=False) as acquired:
        return acquired


@contextmanager
def in_thread(act):
    """Do this in a thread meanwhile; what came of it, once the block has ended."""
    got: list[object] = []

    def run():
        got.extend(race(1, lambda _: act()))

    thread = threading.Thread(target=run)
    thread.start()
    try:
        yield got
    finally:
        thread.join(10)
