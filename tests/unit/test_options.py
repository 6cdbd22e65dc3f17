"""The options of a task: said in Dramatiq's words, or refused when it is declared."""

from __future__ import annotations

import math

import pytest

from tests.support.jobs import actor
from tom_nightshift import stack
from tom_nightshift.broker.broker import DatabaseBroker
from tom_nightshift.exceptions import OptionRefused
from tom_nightshift.ledger.options import OPTIONS, option, settle


@pytest.fixture
def declare():
    """Declare a task with options; what Dramatiq knows of it."""

    def declare_it(**options):
        return actor(
            lambda: None, **{"actor_name": "task", "broker": DatabaseBroker(stack.middleware())} | options
        )

    return declare_it


@pytest.mark.parametrize(
    ("ours", "value", "theirs", "means"),
    [
        ("max_attempts", 1, "max_retries", 0),
        ("max_attempts", 5, "max_retries", 4),
        ("backoff", 2.5, "min_backoff", 2500),
        ("timeout", 60, "time_limit", 60_000),
        ("timeout", 0.0001, "time_limit", 1),
    ],
)
def test_an_option_of_ours_is_said_in_dramatiq_s_words(declare, ours, value, theirs, means):
    options = declare(**{ours: value}).options
    assert options[theirs] == means
    assert ours not in options


@pytest.mark.parametrize("name", ["max_attempts", "backoff", "timeout"])
@pytest.mark.parametrize("value", [0, -1, True, "3", None, math.inf, math.nan])
def test_a_value_that_means_nothing_is_refused(declare, name, value):
    with pytest.raises(OptionRefused, match=f"task: {name} is .*: it takes a number above zero"):
        declare(**{name: value})


def test_a_function_as_backoff_is_left_to_be_asked(declare):
    def backoff(error, job):
        return 5

    options = declare(backoff=backoff).options
    assert options["backoff"] is backoff
    assert "min_backoff" not in options
    with pytest.raises(OptionRefused, match="task: backoff and min_backoff say the same thing"):
        declare(backoff=backoff, min_backoff=3)


def test_attempts_are_whole(declare):
    with pytest.raises(OptionRefused, match=r"max_attempts is 2\.5: it takes a whole number"):
        declare(max_attempts=2.5)


@pytest.mark.parametrize(
    ("ours", "theirs"),
    [("max_attempts", "max_retries"), ("backoff", "min_backoff"), ("timeout", "time_limit")],
)
def test_the_same_thing_said_twice_is_refused(declare, ours, theirs):
    with pytest.raises(OptionRefused, match=f"task: {ours} and {theirs} say the same thing: keep {ours}"):
        declare(**{ours: 3, theirs: 3})


@pytest.mark.parametrize("value", ["again", "lost"])
def test_what_becomes_of_a_lost_job_is_one_of_two(declare, value):
    assert declare(on_lost=value).options["on_lost"] == value
    with pytest.raises(OptionRefused, match=r"on_lost is 'never': it takes 'again' or 'lost'"):
        declare(on_lost="never")


@pytest.mark.parametrize("wrong", [{"actor_name": "x" * 201}, {"queue_name": "x" * 101}])
def test_a_name_that_the_row_cannot_hold_is_refused(declare, wrong):
    with pytest.raises(OptionRefused, match=r"name 'x+'… of a task is \d+ characters long"):
        declare(**wrong)


def test_an_option_that_does_nothing_is_refused(declare):
    with pytest.raises(ValueError, match="singleton"):
        declare(singleton=True)


@pytest.mark.parametrize(
    ("unique", "words"),
    [
        (False, "unique is False: it takes True .*, or a text such as 'image-{target_id}'"),
        (7, "unique is 7: it takes"),
        ("", "unique is '': it takes"),
        ("image-{night}", r"unique is 'image-\{night\}', and task has no argument 'night': it has none"),
        ("image-{}", "task has no argument ''"),
        ("image-{night", "unique is 'image-{night': expected '}'"),
    ],
)
def test_what_makes_no_key_is_refused(declare, unique, words):
    with pytest.raises(OptionRefused, match=words):
        declare(unique=unique)


@pytest.mark.parametrize(
    ("limit", "words"),
    [
        (0, "limit is 0: it takes the number of jobs at a time, 1 or more, as in .'ATLAS', 2."),
        (("ATLAS", 0), "limit is 0"),
        (("ATLAS", 2.5), r"limit is 2\.5"),
        (True, "limit is True"),
        ("ATLAS", "limit is 'ATLAS'"),
        (("ATLAS",), r"limit is \('ATLAS',\): it takes \('ATLAS', 2\), or 2; the name has 1 to 200 char"),
        (("", 2), "the name has 1 to 200 characters"),
        ((2, "ATLAS"), "it takes"),
        (("{site}", 2), "task has no argument 'site'"),
    ],
)
def test_a_limit_that_cannot_be_kept_to_is_refused(declare, limit, words):
    with pytest.raises(OptionRefused, match=words):
        declare(limit=limit)


@pytest.mark.parametrize(
    ("rate", "meant"),
    [
        ("10 per minute", "10/m"),
        ("10/min", "10/m"),
        ("5 / s", "5/s"),
        ("100 an hour", "100/h"),
        ("007/Day", "7/d"),
        (("ATLAS", "10 per minute"), "10/m"),
    ],
)
def test_of_a_rate_in_other_words_the_right_form_is_told(declare, rate, meant):
    with pytest.raises(OptionRefused, match=f"rate is .*: it takes a whole number.*: you mean '{meant}'"):
        declare(rate=rate)
    declare(rate=meant)


@pytest.mark.parametrize("rate", ["0/m", "often", 10, "-1/s", "1.5/s", "", ("ATLAS", 10)])
def test_a_rate_that_says_nothing_is_refused(declare, rate):
    with pytest.raises(OptionRefused, match=r"rate is .*, as in 10/m\."):
        declare(rate=rate)


@pytest.mark.parametrize(
    ("options", "words"),
    [
        ({"isolation": "thread"}, "isolation is 'thread'"),
        ({"isolation": "process", "memory": 0}, "memory is 0"),
        ({"isolation": "process", "cpu_time": "long"}, "cpu_time is 'long'"),
        ({"memory": 1 << 30}, "memory is kept to only in a process of its own: add isolation='process'"),
    ],
)
def test_what_cannot_be_kept_to_is_refused(declare, options, words):
    with pytest.raises(OptionRefused, match=words):
        declare(**options)


def test_a_task_may_be_declared_to_another_broker(declare):
    task = declare(timeout=60, max_attempts=2)
    settle(task)
    assert (task.options["time_limit"], task.options["max_retries"]) == (60_000, 1)


def test_an_option_is_found_by_the_task_s_name(declare):
    task = declare(repeatable=False)
    assert option(task.broker, "task", "repeatable", True) is False
    assert option(task.broker, "task", "title", "none") == "none"
    assert option(task.broker, "unknown", "repeatable", True) is True


def test_every_option_says_what_it_means():
    assert all(words.endswith(".") for words in OPTIONS.values())
