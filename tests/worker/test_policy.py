"""How long a failed job waits, and how often it is tried."""

from __future__ import annotations

import math
import pickle
from random import Random
from typing import Any

import pytest

from inproc_tubes.worker import Backoff, Bury, Retry


def seeded() -> Random:
    return Random(7)  # noqa: S311 - no secret


def delays(backoff: Backoff, tries: int) -> list[float]:
    return [backoff.delay(n) for n in range(1, tries + 1)]


def test_the_delay_grows_until_it_is_as_long_as_it_may_be() -> None:
    backoff = Backoff(first=1, factor=2, max_delay=10, jitter=0)
    assert [1, 2, 4, 8, 10, 10] == delays(backoff, 6)


def test_with_a_factor_of_one_it_stays_the_same() -> None:
    assert [3, 3, 3] == delays(Backoff(first=3, factor=1, jitter=0), 3)


@pytest.mark.parametrize("tries", [2000, 10**9])
def test_it_is_the_longest_after_any_number_of_tries(tries: int) -> None:
    assert 300 == Backoff(jitter=0, max_tries=None).delay(tries)
    assert 0 == Backoff(first=0, jitter=0, max_tries=None).delay(tries)


def test_jitter_shortens_it_by_a_random_part() -> None:
    backoff = Backoff(first=100, factor=1, jitter=0.2, random=seeded())
    found = delays(backoff, 1000)
    assert 80 <= min(found) < 81
    assert 99 < max(found) <= 100
    assert 900 < len(set(found))


def test_with_the_same_seed_the_jitter_is_the_same() -> None:
    first, second = (Backoff(random=seeded()) for _ in range(2))
    assert delays(first, 20) == delays(second, 20)
    assert first == second


def test_by_default_each_delay_is_drawn_anew() -> None:
    backoff = Backoff(first=100, factor=1)
    assert 1 < len({backoff.delay(1) for _ in range(20)})


def test_a_job_is_tried_as_often_as_it_may_be() -> None:
    backoff = Backoff(max_tries=3)
    assert [True, True, False, False] == [backoff.allows(n) for n in (1, 2, 3, 4)]
    assert Backoff(max_tries=None).allows(10**9)
    assert not Backoff(max_tries=1).allows(1)


def test_each_kick_begins_anew() -> None:
    backoff = Backoff(first=1, max_tries=3, jitter=0)
    assert [True, True, False] == [backoff.allows(n, kicks=1) for n in (4, 5, 6)]
    assert [1, 2, 4] == [backoff.delay(n, kicks=1) for n in (4, 5, 6)]
    # Kicked before it was buried for its tries.
    assert [1, 1] == [backoff.delay(n, kicks=1) for n in (2, 3)]
    assert 8 == Backoff(first=1, max_tries=None, jitter=0).delay(4, kicks=1)


def test_a_backoff_is_a_value() -> None:
    assert Backoff() == Backoff(first=1, factor=2, max_delay=300, jitter=0.1)
    assert Backoff() != Backoff(max_tries=None)
    assert len({Backoff(), Backoff()}) == 1
    assert "Backoff(first=1, factor=2, max_delay=300, jitter=0.1, max_tries=5)" == repr(
        Backoff(random=seeded())
    )


@pytest.mark.parametrize(
    ("arguments", "error", "message"),
    [
        ({"first": -1}, ValueError, "first is from 0 to"),
        ({"first": "1"}, TypeError, "first is an int or a float, not str"),
        ({"first": math.nan}, ValueError, "first is from 0 to"),
        ({"factor": 0.5}, ValueError, "factor is from 1 to 4294967295, not 0.5"),
        ({"factor": math.inf}, ValueError, "factor is from 1 to 4294967295, not inf"),
        ({"factor": True}, TypeError, "factor is an int or a float, not bool"),
        ({"max_delay": math.inf}, ValueError, "max_delay is from 0 to"),
        ({"jitter": 1.1}, ValueError, "jitter is from 0 to 1, not 1.1"),
        ({"jitter": None}, TypeError, "jitter is an int or a float, not NoneType"),
        ({"max_tries": 0}, ValueError, "max_tries is 1 or more, not 0"),
        ({"max_tries": 2.0}, TypeError, "max_tries is an int, not float"),
        ({"random": 7}, TypeError, "random is a random.Random, not int"),
    ],
)
def test_a_backoff_that_makes_no_sense_is_refused(
    arguments: dict[str, Any], error: type[Exception], message: str
) -> None:
    with pytest.raises(error, match=f"^{message}"):
        Backoff(**arguments)


@pytest.mark.parametrize("order", [Retry, Bury])
def test_an_order_with_a_wrong_number_is_refused(order: Any) -> None:
    with pytest.raises(ValueError, match=r"^priority is from 0 to"):
        order(priority=-1)
    with pytest.raises(TypeError, match=r"^priority is an int"):
        order(priority="1")


def test_a_retry_with_a_wrong_delay_is_refused() -> None:
    with pytest.raises(ValueError, match=r"^delay is from 0 to"):
        Retry(delay=-1)
    with pytest.raises(TypeError, match=r"^delay is an int or a float"):
        Retry(delay="1")  # type: ignore[arg-type]  # on purpose


def test_an_order_tells_what_it_is_about() -> None:
    assert "in 30 s" == str(Retry(30))
    assert "" == str(Retry())
    assert "why" == str(Bury("why"))
    assert "" == str(Bury())


@pytest.mark.parametrize("order", [Retry(30, 7), Bury("why", 7)])
def test_an_order_may_come_from_another_process(order: Exception) -> None:
    copy = pickle.loads(pickle.dumps(order))  # noqa: S301 - our own
    assert vars(order) == vars(copy)
