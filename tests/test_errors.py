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
    ConnectionLostError,
    DeadlineSoonError,
    DeadlockError,
    DrainingError,
    DuplicateJobError,
    JobTooBigError,
    NotFoundError,
    NotFoundReason,
    NotIgnoredError,
    NotSupportedError,
    ReentrantCallError,
    ServerError,
    StoppedError,
    TimedOutError,
    TooManyTriesError,
    TubeFullError,
    TubesError,
)


def not_found(reason: NotFoundReason, **given: Any) -> dict[str, Any]:
    """Return the attributes of a `NotFoundError`."""
    names = ("job_id", "tube", "state", "expired_at", "late", "holder")
    return {"reason": reason} | {name: given.get(name) for name in names}


# (the error, the builtin that a stranger would catch, its text, its attributes)
TABLE: list[tuple[TubesError, type[Exception], str, dict[str, Any]]] = [
    (
        NotFoundError(7),
        LookupError,
        "job 7 was deleted",
        not_found(NotFoundReason.DELETED, job_id=7),
    ),
    (
        NotFoundError(0, None, None, NotFoundReason.NEVER_PUT),
        LookupError,
        "job 0 was never put",
        not_found(NotFoundReason.NEVER_PUT, job_id=0),
    ),
    (
        NotFoundError(7, None, None, NotFoundReason.OUTDATED),
        LookupError,
        "job 7 was deleted, as nobody had reserved it in time",
        not_found(NotFoundReason.OUTDATED, job_id=7),
    ),
    (
        NotFoundError(7, None, None, NotFoundReason.CANCELLED),
        LookupError,
        "job 7 was cancelled",
        not_found(NotFoundReason.CANCELLED, job_id=7),
    ),
    (
        NotFoundError(7, None, None, NotFoundReason.GONE),
        LookupError,
        "job 7 is gone: deleted, cancelled or outdated, too long ago to tell which",
        not_found(NotFoundReason.GONE, job_id=7),
    ),
    (
        NotFoundError(7, None, "reserved", NotFoundReason.EXPIRED, 160.5, 3.25),
        LookupError,
        "the reservation of job 7 expired 3.25 s ago; the job is held by another consumer now",
        not_found(
            NotFoundReason.EXPIRED,
            job_id=7,
            state="reserved",
            expired_at=160.5,
            late=3.25,
        ),
    ),
    (
        NotFoundError(7, None, None, NotFoundReason.EXPIRED, 160.5, 3.25),
        LookupError,
        "the reservation of job 7 expired 3.25 s ago; the job is gone",
        not_found(NotFoundReason.EXPIRED, job_id=7, expired_at=160.5, late=3.25),
    ),
    (
        NotFoundError(7, None, "reserved", NotFoundReason.HELD),
        LookupError,
        "job 7 is held by another consumer",
        not_found(NotFoundReason.HELD, job_id=7, state="reserved"),
    ),
    (
        NotFoundError(7, None, "reserved", NotFoundReason.HELD, None, None, "packer-1"),
        LookupError,
        "job 7 is held by 'packer-1'",
        not_found(NotFoundReason.HELD, job_id=7, state="reserved", holder="packer-1"),
    ),
    (
        NotFoundError(7, None, "ready", NotFoundReason.WRONG_STATE),
        LookupError,
        "job 7 is ready, and this verb is not for such a job",
        not_found(NotFoundReason.WRONG_STATE, job_id=7, state="ready"),
    ),
    (
        NotFoundError(7, None, "buried", NotFoundReason.RESERVED_SINCE),
        LookupError,
        "job 7 was reserved again after this handle was given out, and is buried now",
        not_found(NotFoundReason.RESERVED_SINCE, job_id=7, state="buried"),
    ),
    (
        NotFoundError(7, None, "ready", NotFoundReason.ONLY_PEEKED),
        LookupError,
        "job 7 was only looked at, and not reserved",
        not_found(NotFoundReason.ONLY_PEEKED, job_id=7, state="ready"),
    ),
    (
        NotFoundError(7, None, None, NotFoundReason.FOREIGN),
        LookupError,
        "job 7 is another broker's",
        not_found(NotFoundReason.FOREIGN, job_id=7),
    ),
    (
        NotFoundError(tube="jobs"),
        LookupError,
        "tube 'jobs' does not exist",
        not_found(NotFoundReason.NO_TUBE, tube="jobs"),
    ),
    (
        NotFoundError(None, "jobs", "buried"),
        LookupError,
        "tube 'jobs' has no buried job",
        not_found(NotFoundReason.NO_JOB, tube="jobs", state="buried"),
    ),
    (
        NotFoundError(7, reason=NotFoundReason.CONNECTION_LOST),
        LookupError,
        "the connection that held job 7 was lost, and so the server gave it back",
        not_found(NotFoundReason.CONNECTION_LOST, job_id=7),
    ),
    (
        ConnectionLostError("put", "no beanstalkd could be reached"),
        ConnectionError,
        "put: no beanstalkd could be reached",
        {"verb": "put", "why": "no beanstalkd could be reached"},
    ),
    (
        NotSupportedError("keys"),
        NotImplementedError,
        "beanstalkd has no keys",
        {"what": "keys", "advice": ""},
    ),
    (
        NotSupportedError("keys", "keep ids"),
        NotImplementedError,
        "beanstalkd has no keys: keep ids",
        {"what": "keys", "advice": "keep ids"},
    ),
    (
        ServerError("OUT_OF_MEMORY"),
        TubesError,
        "the server has answered OUT_OF_MEMORY",
        {"answer": "OUT_OF_MEMORY"},
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
        TooManyTriesError(7, "jobs", 3),
        TubesError,
        "job 7 of tube 'jobs' is buried: it was reserved 3 times",
        {"job_id": 7, "tube": "jobs", "tries": 3},
    ),
    (
        TooManyTriesError(7, "jobs", 1),
        TubesError,
        "job 7 of tube 'jobs' is buried: it was reserved once",
        {"job_id": 7, "tube": "jobs", "tries": 1},
    ),
    (
        DuplicateJobError("invoice-7", "jobs", 3),
        TubesError,
        "tube 'jobs' has job 3 with the key 'invoice-7' already",
        {"key": "invoice-7", "tube": "jobs", "job_id": 3},
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
    assert named | {"TubesError", "NotFoundReason"} == set(errors.__all__)


def test_the_table_has_every_reason() -> None:
    found = [row[0].reason for row in TABLE if isinstance(row[0], NotFoundError)]
    assert set(NotFoundReason) == set(found)


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
