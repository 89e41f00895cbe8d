"""pybeanstalk's errors, without pybeanstalk."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import pytest

from inproc_tubes.fakes.beanstalk import errors, serverconn

if TYPE_CHECKING:
    from collections.abc import Callable

    from inproc_tubes.fakes import FakeBeanstalkd


@pytest.mark.parametrize(
    ("command", "error", "word"),
    [
        pytest.param(
            lambda c: c.delete(7), errors.NotFound, "NOT_FOUND", id="delete(7)"
        ),
        pytest.param(
            lambda c: c.release(7), errors.NotFound, "NOT_FOUND", id="release(7)"
        ),
        pytest.param(lambda c: c.bury(7), errors.NotFound, "NOT_FOUND", id="bury(7)"),
        pytest.param(lambda c: c.touch(7), errors.NotFound, "NOT_FOUND", id="touch(7)"),
        pytest.param(lambda c: c.peek(7), errors.NotFound, "NOT_FOUND", id="peek(7)"),
        pytest.param(
            lambda c: c.peek_ready(), errors.NotFound, "NOT_FOUND", id="peek_ready()"
        ),
        pytest.param(
            lambda c: c.peek_delayed(),
            errors.NotFound,
            "NOT_FOUND",
            id="peek_delayed()",
        ),
        pytest.param(
            lambda c: c.peek_buried(), errors.NotFound, "NOT_FOUND", id="peek_buried()"
        ),
        pytest.param(
            lambda c: c.stats_job(7), errors.NotFound, "NOT_FOUND", id="stats_job(7)"
        ),
        pytest.param(
            lambda c: c.stats_tube("x"),
            errors.NotFound,
            "NOT_FOUND",
            id='stats_tube("x")',
        ),
        pytest.param(
            lambda c: c.ignore("default"),
            errors.NotIgnored,
            "NOT_IGNORED",
            id='ignore("default")',
        ),
        pytest.param(
            lambda c: c.put("a", delay=-1),
            errors.BadFormat,
            "BAD_FORMAT",
            id='put("a", delay=-1)',
        ),
        pytest.param(
            lambda c: c.put("a", pri=2**32),
            errors.BadFormat,
            "BAD_FORMAT",
            id='put("a", pri=2**32)',
        ),
        pytest.param(
            lambda c: c.put({"a": 1}),
            errors.ExpectedCrlf,
            "EXPECTED_CRLF",
            id='put({"a": 1})',
        ),
    ],
)
def test_what_the_server_refuses_is_raised(
    conn: serverconn.ServerConn,
    command: Callable[[serverconn.ServerConn], Any],
    error: type[Exception],
    word: str,
) -> None:
    with pytest.raises(error) as caught:
        command(conn)
    assert (error, (f"Server returned: {word}",)) == (
        type(caught.value),
        caught.value.args,
    )


def test_a_draining_server_takes_no_job(
    fake: FakeBeanstalkd, conn: serverconn.ServerConn
) -> None:
    fake.drain()
    with pytest.raises(errors.Draining):
        conn.put("a")


def test_a_connection_that_holds_an_expiring_job_is_warned(
    conn: serverconn.ServerConn,
) -> None:
    conn.put("a", ttr=1)
    conn.reserve()
    with pytest.raises(errors.DeadlineSoon):
        conn.reserve()


def test_every_error_word_has_its_class() -> None:
    for word, base in {
        "BAD_FORMAT": errors.ProtoError,
        "UNKNOWN_COMMAND": errors.ProtoError,
        "EXPECTED_CRLF": errors.ProtoError,
        "JOB_TOO_BIG": errors.ProtoError,
        "NOT_FOUND": errors.ProtoError,
        "NOT_IGNORED": errors.ProtoError,
        "DEADLINE_SOON": errors.ProtoError,
        "OUT_OF_MEMORY": errors.ServerError,
        "INTERNAL_ERROR": errors.ServerError,
        "DRAINING": errors.ServerError,
    }.items():
        with pytest.raises(base, match=f"^Server returned: {word}$") as caught:
            errors.checkError(word)
        assert type(caught.value).__name__ == word.title().replace("_", "")
    errors.checkError("RESERVED 1 1")  # is fine


def test_the_errors_are_a_tree() -> None:
    for error, base in {
        errors.JobError: errors.FailureError,
        errors.UnexpectedResponse: errors.ProtoError,
        errors.ProtoError: errors.BeanStalkError,
        errors.ServerError: errors.BeanStalkError,
        errors.NotConnected: errors.BeanStalkError,
        errors.BeanStalkError: Exception,
        errors.FailureError: Exception,
    }.items():
        assert error.__bases__ == (base,)


@pytest.mark.parametrize(
    "command",
    [
        lambda c: c.use("-orders"),
        lambda c: c.watch("x" * 201),
        lambda c: c.ignore(""),
        lambda c: c.stats_tube("a b"),
    ],
    ids=["use", "watch", "ignore", "stats_tube"],
)
def test_an_illegal_name_is_not_even_sent(
    conn: serverconn.ServerConn, command: Callable[[serverconn.ServerConn], Any]
) -> None:
    with pytest.raises(errors.BadFormat, match=r"^Illegal name$"):
        command(conn)
    assert conn.tube == "default"


def test_a_peek_without_an_id_cannot_be_sent(conn: serverconn.ServerConn) -> None:
    with pytest.raises(errors.ProtoError) as caught:
        conn.peek()
    assert (errors.ProtoError, ()) == (type(caught.value), caught.value.args)


def test_a_malformed_put_leaves_the_connection_out_of_step(
    conn: serverconn.ServerConn,
) -> None:
    with pytest.raises(errors.BadFormat):
        conn.put("a", delay=-1)
    with pytest.raises(errors.UnexpectedResponse) as caught:
        conn.stats()
    assert caught.value.args == ("Response was: COMMAND ",)


def test_a_reply_with_other_fields_is_another_reply(
    conn: serverconn.ServerConn,
) -> None:
    conn.put("a")
    conn.reserve()
    conn._socket.sendall(b"bury 1 0\r\n")  # BURIED without an id
    with pytest.raises(errors.UnexpectedResponse, match=r"^Response was: BURIED $"):
        conn.put("b")


def test_a_body_that_is_too_long_is_noticed(conn: serverconn.ServerConn) -> None:
    conn.put("")
    conn.put("")
    conn._socket.sendall(b"reserve\r\n")
    with pytest.raises(
        errors.ExpectedCrlf, match=r"^Data not properly sent from server$"
    ):
        conn.reserve()
