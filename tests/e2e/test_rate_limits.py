"""A limit holds over processes."""

from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor

CLIMB = """
from tom_nightshift.broker.rate_limits import DatabaseRates
rates = DatabaseRates()
print(sum(rates.{call} for _ in range(60)))
"""


def test_no_step_is_lost_between_processes_and_none_is_too_many(site):
    climbed = in_processes(site, 3, "incr('key', 1, 100, 600_000)")
    assert sum(climbed) == 100


def test_nor_in_a_sum(site):
    call = "incr_and_sum('key{number}', lambda: ['key0', 'key1', 'key2'], 1, 100, 600_000)"
    assert sum(in_processes(site, 3, call)) == 100


def in_processes(site, count, call):
    with ThreadPoolExecutor(count) as pool:
        codes = [CLIMB.format(call=call.replace("{number}", str(number))) for number in range(count)]
        return [int(printed) for printed in pool.map(site.shell, codes)]
