"""Masking: nothing secret gets through, and ordinary words stay as they are."""

from __future__ import annotations

import json
import time
from urllib.parse import quote, quote_plus

import dramatiq
import pytest
from dramatiq.brokers.stub import StubBroker
from hypothesis import given
from hypothesis import strategies as st

from tom_nightshift.ledger.arguments import arguments_by_name
from tom_nightshift.ledger.secrets import MASK, NONE, SHORTEST, Secrets, is_secret, of_arguments

secret_values = st.text(min_size=SHORTEST, max_size=40).filter(lambda text: MASK[:1] not in text)


@pytest.mark.parametrize(
    ("said", "masked"),
    [
        ("token=abc", "token=•"),
        ("api_key = 'a b c', next", "api_key = '•', next"),
        ("password: hunter2, user: ann", "password: •, user: ann"),
        ("X-Api-Key: 12", "X-Api-Key: •"),
        ("apiKey=12&page=2", "apiKey=•&page=2"),
        ('{"token": "a\\"b", "n": 1}', '{"token": "•", "n": 1}'),
        ('{"token": 1234, "n": 1}', '{"token": •, "n": 1}'),
        (r'"{\"token\": \"abc\", \"n\": 1}"', r'"{\"token\": \"•\", \"n\": 1}"'),
        ("{'client_secret': b'abc'}", "{'client_secret': b'•'}"),
        ('headers["Authorization"] = "Token 12"', 'headers["Authorization"] = "•"'),
        ("Authorization: Bearer abc.def", "Authorization: Bearer •"),
        ("authorization: Basic YWJj", "authorization: Basic •"),
        ("sent Bearer abcdef123456==", "sent Bearer •"),
        ("https://ann:hunter2@host/path", "https://ann:•@host/path"),
        ("GET https://host/?token=abc&b=1", "GET https://host/?token=•&b=1"),
        ("curl --auth-token abc -v", "curl --auth-token • -v"),
        ("def f(token: str = 'abc'):", "def f(token: • = '•'):"),
        ("password='half of it", "password='•"),
    ],
)
def test_what_stands_beside_a_secret_name_is_masked(said, masked):
    assert NONE.mask(said) == masked.replace("•", MASK)
    assert NONE.mask(NONE.mask(said)) == NONE.mask(said)


@pytest.mark.parametrize(
    "words",
    [
        "the token ring was down",
        "password changed",
        "no secret was found for ann",
        "if token == other:",
        "TokenError: EOF in multi-line statement",
        "the bearer certificates are old",
        "https://archive.example/m13.fits?page=2",
        "10:31:07 reading frame 3 of 12: m13_b.fits",
        "author=Ann, compass: north, passband=V",
        'token=""',
    ],
)
def test_ordinary_words_are_left_alone(words):
    assert NONE.mask(words) == words


@given(secret_values)
def test_the_value_of_a_secret_argument_is_masked_however_it_is_said(secret):
    mask = of_arguments({"target_id": 7, "auth": {"apiKey": secret}}).mask
    said = [
        f"trying {secret}!",
        f"{{'x': {secret!r}}}",
        json.dumps({"x": secret}),
        f"GET https://host/?x={quote(secret.encode('utf-8', 'replace'))}&y=1",
        f"x={quote_plus(secret.encode('utf-8', 'replace'))}",
    ]
    for text in said:
        assert secret not in mask(text)
    assert json.dumps(secret)[1:-1] not in mask(said[2])


@pytest.mark.parametrize(
    "arguments",
    [
        {"password": "s3cr3t-value"},
        {"auth": {"inner": [{"client_secret": "s3cr3t-value"}]}},
        {"credentials": {"user": "ann1", "list": ["s3cr3t-value"]}},
        {"url": "https://ann:s3cr3t-value@host/"},
        {"urls": ["https://host/?access_token=s3cr3t-value&x=1"]},
        {"api_token": "first line\ns3cr3t-value"},
    ],
)
def test_secrets_are_found_at_any_depth_and_in_addresses(arguments):
    assert of_arguments(arguments).mask("said s3cr3t-value once") == f"said {MASK} once"


def test_a_number_is_masked_and_what_is_no_secret_is_not():
    secrets = of_arguments({"token": 123456, "secret_flag": True, "no_token": None, "password": ""})
    assert secrets.mask("123456 True None") == f"{MASK} True None"


def test_a_value_too_short_to_be_a_secret_is_masked_beside_its_name_only():
    assert of_arguments({"token": "is"}).mask("token=is, this is it") == f"token={MASK}, this is it"


def test_results_are_masked_by_name_and_by_value():
    secrets = of_arguments({"token": "s3cr3t"})
    kept = {"summary": "used s3cr3t", "facts": {"password": "other", "n": 3}, "rows": [["s3cr3t", 1.5, None]]}
    assert secrets.mask_all(kept) == {
        "summary": f"used {MASK}",
        "facts": {"password": MASK, "n": 3},
        "rows": [[MASK, 1.5, None]],
    }


def test_the_names_are_those_of_the_setting(settings):
    assert is_secret("MyApi_Key")
    assert is_secret("apikey2")
    settings.NIGHTSHIFT = {"SECRET_NAMES": ["pass_band"]}
    assert not is_secret("MyApi_Key")
    assert NONE.mask("token=1, PassBand=V") == f"token=1, PassBand={MASK}"
    settings.NIGHTSHIFT = {"SECRET_NAMES": []}
    assert NONE.mask("token=1") == "token=1"


def test_long_lines_are_read_once():
    """A pattern that tries again from every place takes minutes of computing for one long word."""
    began = time.thread_time()
    for line in ("x" * 300_000, "token" * 60_000, "token=" + "x" * 300_000, "://" + "a:" * 150_000):
        NONE.mask(line)
    assert time.thread_time() - began < 10


def test_a_known_secret_is_masked_where_it_is_a_name_too():
    assert Secrets(["hunter22"]).mask_all({"hunter22": {"hunter22": 1}}) == {MASK: {MASK: 1}}


@pytest.mark.parametrize(
    "given", [("M13", "https://ann:hunter22@host/"), ("M13", "a", "b", "https://ann:hunter22@host/")]
)
def test_an_address_among_arguments_that_have_no_name_of_their_own(given):
    broker = StubBroker()
    task = dramatiq.actor(actor_name="task", broker=broker)(lambda target, *more: None)
    secrets = of_arguments(arguments_by_name(broker, task.message(*given)))
    assert secrets.mask("it said hunter22") == f"it said {MASK}"
