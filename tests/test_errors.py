"""The tree of exceptions."""

from __future__ import annotations

import copy
import pickle
from queue import Full
from typing import Any

import pytest

from inproc_tubes import errors
from inproc_tubes.errors import (
    BadTubeNameError,
    ClosedError,
    DeadlineSoonError,
    DeadlockError,
    DrainingError,
    JobTooBigError,
    NotFoundError,
    NotIgnoredError,
    ReentrantCallError,
    StoppedError,
    TimedOutError,
    TubeFullError,
    TubesError,
)

# (the error, the builtin that a stranger would catch, its text, its attributes)
TABLE: list[tuple[TubesError, type[Exception], str, dict[str, Any]]] = [
    (
        NotFoundError(7),
        LookupError,
        "job 7 does not exist, or may not be had as it is now",
        {"job_id": 7, "tube": None, "state": None},
    ),
    (
        NotFoundError(0),
        LookupError,
        "job 0 does not exist, or may not be had as it is now",
        {"job_id": 0, "tube": None, "state": None},
    ),
    (
        NotFoundError(tube="jobs"),
        LookupError,
        "tube 'jobs' does not exist",
        {"job_id": None, "tube": "jobs", "state": None},
    ),
    (
        NotFoundError(None, "jobs", "buried"),
        LookupError,
        "tube 'jobs' has no buried job",
        {"job_id": None, "tube": "jobs", "state": "buried"},
    ),
    (
        NotIgnoredError("jobs"),
        TubesError,
        "tube 'jobs' is the only one watched",
        {"tube": "jobs"},
    ),
    (
        TimedOutError(2.5),
        TimeoutError,
        "no job within 2.5 s",
        {"timeout": 2.5, "missing": "no job"},
    ),
    (
        TimedOutError(0),
        OSError,
        "no job within 0 s",
        {"timeout": 0, "missing": "no job"},
    ),
    (
        TimedOutError(5, "no end of the work"),
        TimeoutError,
        "no end of the work within 5 s",
        {"timeout": 5, "missing": "no end of the work"},
    ),
    (
        DeadlineSoonError(7, 0.25),
        TubesError,
        "the reservation of job 7 ends in 0.25 s",
        {"job_id": 7, "time_left": 0.25},
    ),
    (
        JobTooBigError(11, 10),
        ValueError,
        "the body has 11 bytes, at most 10 are taken",
        {"size": 11, "limit": 10},
    ),
    (
        BadTubeNameError("a b"),
        ValueError,
        (
            "'a b' is not a tube name: 1 to 200 of A-Za-z0-9-+/;.$_() are, "
            "and the first is not '-'"
        ),
        {"name": "a b"},
    ),
    (
        BadTubeNameError("a" * 60),
        ValueError,
        (
            f"'{'a' * 60}' is not a tube name: 1 to 200 of A-Za-z0-9-+/;.$_() are, "
            "and the first is not '-'"
        ),
        {"name": "a" * 60},
    ),
    (
        BadTubeNameError("a" * 201),
        ValueError,
        (
            f"'{'a' * 60}...' is not a tube name: 1 to 200 of A-Za-z0-9-+/;.$_() are, "
            "and the first is not '-'"
        ),
        {"name": "a" * 201},
    ),
    (
        TubeFullError("jobs", 5),
        Full,
        "tube 'jobs' has no room for one more job: it may have 5",
        {"tube": "jobs", "maxsize": 5, "count": 1},
    ),
    (
        TubeFullError("jobs", 5, 6),
        Full,
        "tube 'jobs' has no room for 6 more jobs: it may have 5",
        {"tube": "jobs", "maxsize": 5, "count": 6},
    ),
    (DrainingError(), TubesError, "the broker is draining and takes no new jobs", {}),
    (
        ClosedError("the broker was closed"),
        TubesError,
        "the broker was closed",
        {"what": "the broker was closed"},
    ),
    (
        StoppedError("the consumer was stopped"),
        ClosedError,
        "the consumer was stopped",
        {"what": "the consumer was stopped"},
    ),
    (
        ReentrantCallError(),
        RuntimeError,
        "called in the middle of another verb, by a finaliser or a signal handler",
        {},
    ),
    (
        DeadlockError(),
        TubesError,
        "every thread waits, and nothing will ever be due",
        {
            "verb": "",
            "why": "every thread waits, and nothing will ever be due",
            "waits": (),
            "advice": "",
        },
    ),
    (
        DeadlockError("join of 'a'", "time cannot jump", ("one", "two"), "Shut it."),
        TubesError,
        "time cannot jump: join of 'a'\n  one\n  two\nShut it.",
        {
            "verb": "join of 'a'",
            "why": "time cannot jump",
            "waits": ("one", "two"),
            "advice": "Shut it.",
        },
    ),
]
ERRORS = [pytest.param(row[0], id=repr(row[0])) for row in TABLE]


@pytest.mark.parametrize(("error", "builtin", "text", "values"), TABLE)
def test_an_error_says_what_is_wrong_and_carries_the_values(
    error: TubesError, builtin: type[Exception], text: str, values: dict[str, Any]
) -> None:
    assert isinstance(error, builtin)
    assert text == str(error)
    assert values == vars(error)


def test_the_table_has_every_error() -> None:
    named = {row[0].__class__.__name__ for row in TABLE}
    assert named | {"TubesError"} == set(errors.__all__)


def test_every_error_of_the_module_is_public() -> None:
    classes = {
        name
        for name, value in vars(errors).items()
        if isinstance(value, type) and value.__module__ == errors.__name__
    }
    assert classes == set(errors.__all__)
    assert sorted(classes) == errors.__all__


@pytest.mark.parametrize("error", ERRORS)
def test_the_tree_is_flat_but_for_the_two_ends_of_a_handle(error: TubesError) -> None:
    parent = ClosedError if isinstance(error, StoppedError) else TubesError
    assert parent is type(error).__bases__[0]


def test_the_base_is_no_builtin_but_exception() -> None:
    assert (Exception,) == TubesError.__bases__


@pytest.mark.parametrize("error", ERRORS)
def test_no_error_is_a_key_error_whose_text_would_be_in_quotes(
    error: TubesError,
) -> None:
    assert not isinstance(error, KeyError)


@pytest.mark.parametrize("protocol", range(pickle.HIGHEST_PROTOCOL + 1))
@pytest.mark.parametrize("error", ERRORS)
def test_an_error_survives_pickling(error: TubesError, protocol: int) -> None:
    again = pickle.loads(pickle.dumps(error, protocol))  # noqa: S301  # our own bytes
    assert type(again) is type(error)
    assert again.args == error.args
    assert str(again) == str(error)
    assert vars(again) == vars(error)


@pytest.mark.parametrize("error", ERRORS)
def test_an_error_may_be_copied(error: TubesError) -> None:
    again = copy.copy(error)
    assert again is not error
    assert (str(error), vars(error)) == (str(again), vars(again))


@pytest.mark.parametrize("error", ERRORS)
def test_an_error_shows_its_values_in_its_repr(error: TubesError) -> None:
    shown = repr(error)
    assert shown.startswith(type(error).__name__ + "(")
    assert all(repr(value) in shown for value in vars(error).values())


def test_the_head_of_the_module_draws_every_error() -> None:
    for name in errors.__all__:
        assert name in (errors.__doc__ or "")
