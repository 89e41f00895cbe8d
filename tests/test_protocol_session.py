"""A session of the protocol: its statistics, limits, versions, end, and memory."""

from __future__ import annotations

import gc
import re

import pytest

from inproc_tubes import Broker, ClosedError, DeadlockError
from inproc_tubes.core.recovery import check
from inproc_tubes.protocol import ProtocolSession
from inproc_tubes.testing import FakeClock, wait_until_waiting

from .protocol_cases import ok
from .threads import LONG, waiting


def answer(session: ProtocolSession, data: bytes) -> bytes:
    session.receive(data)
    return b"".join(iter(session.take, b""))


# Statistics


def test_draining_shows_in_the_statistics() -> None:
    broker = Broker()
    broker.drain()
    assert b"\ndraining: true\n" in answer(ProtocolSession(broker), b"stats\r\n")


def test_what_the_process_has_used_is_told_to_the_microsecond() -> None:
    told = answer(ProtocolSession(Broker()), b"stats\r\n")
    assert re.search(rb"\nrusage-utime: \d+\.\d{6}\nrusage-stime: \d+\.\d{6}\n", told)


@pytest.mark.parametrize(("age", "shown"), [(0.9999994, 0), (0.9999996, 1), (1.9, 1)])
def test_times_are_rounded_to_the_microsecond_and_then_truncated_to_seconds(
    age: float, shown: int
) -> None:
    """A subtraction of two clock readings loses bits: a second stays a second."""
    clock = FakeClock(start=0.0)
    session = ProtocolSession(Broker(clock=clock))
    answer(session, b"put 0 0 60 3\r\njob\r\n")
    clock.advance(age)
    assert b"\nage: %d\n" % shown in answer(session, b"stats-job 1\r\n")


# A limited tube, which the server does not have


def test_a_put_into_a_full_tube_is_swallowed_with_its_body() -> None:
    """As by a server whose disk is full: the id is spent, and nothing is kept."""
    broker = Broker()
    broker.limit_tube("default", 1)
    session = ProtocolSession(broker)
    told = answer(
        session,
        b"put 0 0 60 5\r\nfirst\r\n"
        b"put 0 0 60 8\r\ndelete 1\r\n"
        b"stats-job 2\r\n"
        b"delete 1\r\n"
        b"put 0 0 60 5\r\nthird\r\n",
    )
    assert (
        b"INSERTED 1\r\nOUT_OF_MEMORY\r\nNOT_FOUND\r\nDELETED\r\nINSERTED 3\r\n"
    ) == told
    assert 3 == broker.stats().cmd_put
    assert 2 == broker.stats_tube("default").total_jobs
    check(broker._engine)


def test_a_full_tube_is_looked_at_when_the_body_is_there() -> None:
    broker = Broker()
    broker.limit_tube("default", 1)
    session = ProtocolSession(broker)
    assert b"" == answer(session, b"put 0 0 60 3\r\njo")
    broker.producer().put("meanwhile", timeout=0)
    assert b"OUT_OF_MEMORY\r\n" == answer(session, b"b\r\n")
    assert b"" == answer(session, b"put 0 0 60 3\r\njo")
    broker.delete(2)
    assert b"INSERTED 3\r\n" == answer(session, b"b\r\n")


def test_a_put_over_the_wire_does_not_overtake_one_that_waits() -> None:
    broker = Broker()
    broker.limit_tube("default", 2)
    session = ProtocolSession(broker)
    broker.producer().put("first")
    future = waiting(broker, lambda: broker.producer().put_many(["a", "b"]))
    assert b"OUT_OF_MEMORY\r\n" == answer(session, b"put 0 0 60 3\r\njob\r\n")
    assert b"DELETED\r\n" == answer(session, b"delete 1\r\n")
    assert [3, 4] == future.result(LONG)


def test_only_puts_are_kept_out_over_the_wire() -> None:
    broker = Broker()
    session = ProtocolSession(broker)
    answer(session, b"put 0 0 60 3\r\njob\r\n" * 2 + b"reserve\r\nreserve\r\n")
    broker.limit_tube("default", 1)
    told = answer(session, b"release 1 0 9\r\nbury 2 0\r\nkick 1\r\n")
    assert b"RELEASED\r\nBURIED\r\nKICKED 1\r\n" == told


def test_a_limit_shows_in_no_statistics_of_the_wire() -> None:
    broker = Broker()
    broker.limit_tube("default", 1)
    told = answer(ProtocolSession(broker), b"stats-tube default\r\n")
    assert b"maxsize" not in told
    assert b"putting" not in told


# Version 1.13


def test_1_13_puts_strings_in_quotes() -> None:
    session = ProtocolSession(Broker(), version="1.13")
    answer(session, b"put 0 0 60 0\r\n\r\n")
    assert b'\ntube: "default"\nstate: ready\n' in answer(session, b"stats-job 1\r\n")
    assert b'---\nname: "default"\n' in answer(session, b"stats-tube default\r\n")
    told = answer(session, b"stats\r\n")
    assert b'\nversion: "1.13"\n' in told
    assert re.search(rb'\nhostname: ".*"\nos: ".*"\nplatform: ".*"\n\r\n\Z', told)
    assert answer(session, b"list-tubes\r\n") == ok(b"---\n- default\n") + b"\r\n"


def test_there_is_no_other_version() -> None:
    with pytest.raises(ValueError, match=r"version is one of 1\.12, 1\.13, not '1\.4'"):
        ProtocolSession(Broker(), version="1.4")
    gc.collect()  # what was not made to its end ends without a word


# What the server does not have: handles on the same broker, and its end


def test_connections_and_handles_share_the_jobs() -> None:
    with Broker() as broker:
        session = ProtocolSession(broker)
        consumer = broker.consumer()
        answer(session, b"put 5 0 60 3\r\njob\r\n")
        with consumer.reserve(timeout=0) as job:
            assert (job.body, job.priority) == (b"job", 5)
        for body in "\u00fcber\ud800", bytearray(b"b"), memoryview(b"m"), {"a": 1}:
            broker.producer().put(body)
        told = answer(session, 4 * b"reserve\r\n")
        assert told == (
            b"RESERVED 2 8\r\n\xc3\xbcber\xed\xa0\x80\r\n"
            b"RESERVED 3 1\r\nb\r\nRESERVED 4 1\r\nm\r\nRESERVED 5 8\r\n{'a': 1}\r\n"
        )


def test_fractions_of_seconds_are_cut_off_on_the_wire() -> None:
    clock = FakeClock(start=0.1)
    broker = Broker(clock=clock)
    session = ProtocolSession(broker)
    broker.producer().put(b"", delay=2.9, ttr=1.5)
    clock.advance(1.2)
    told = answer(session, b"stats-job 1\r\n")
    assert b"\nage: 1\ndelay: 2\nttr: 1\ntime-left: 1\n" in told


def test_what_has_lost_a_bit_in_a_subtraction_is_not_cut_off() -> None:
    clock = FakeClock(start=1_000_000.3)
    session = ProtocolSession(Broker(clock=clock))
    answer(session, b"put 0 0 60 0\r\n\r\nreserve\r\n")
    clock.advance(6.7)
    assert b"\nage: 6\n" in answer(session, b"stats-job 1\r\n")
    clock.advance(0.3)
    told = answer(session, b"stats-job 1\r\n")
    assert b"\nage: 7\n" in told
    assert b"\ntime-left: 53\n" in told


def test_ten_tenths_of_a_second_are_one_second_of_uptime() -> None:
    clock = FakeClock(start=0.1)
    session = ProtocolSession(Broker(clock=clock))
    for _ in range(10):
        clock.advance(0.1)
    assert b"\nuptime: 1\n" in answer(session, b"stats\r\n")


@pytest.mark.parametrize("limit", [None, 2**31])
def test_no_limit_is_the_largest_that_the_server_knows(limit: int | None) -> None:
    session = ProtocolSession(Broker(max_job_size=limit))
    assert b"\nmax-job-size: 1073741824\n" in answer(session, b"stats\r\n")
    assert answer(session, b"put 0 0 60 1073741825\r\n") == b""
    assert session._body is None


def test_a_half_received_job_can_be_peeked_at() -> None:
    broker = Broker()
    session = ProtocolSession(broker)
    answer(session, b"put 0 0 60 5\r\nabc")
    assert answer(ProtocolSession(broker), b"peek 1\r\n") == (
        b"FOUND 1 5\r\nabc\0\0\r\n"
    )
    check(broker._engine)
    assert answer(session, b"de\r\n") == b"INSERTED 1\r\n"
    assert broker.peek(1).body == b"abcde"


def test_who_owns_the_connection_is_told_when_a_reserve_is_answered() -> None:
    broker = Broker()
    told: list[str] = []
    session = ProtocolSession(broker, on_output=lambda: told.append("output"))
    assert answer(session, b"reserve\r\nuse t\r\n") == b""
    assert session.waiting
    assert repr(session) == "<ProtocolSession of 1.12: waiting>"
    wait_until_waiting(broker, 1)
    assert told == []
    broker.producer().put(b"job")
    assert told == ["output"]
    assert repr(session) == "<ProtocolSession of 1.12: open>"
    assert broker.tubes() == ["default"]
    session.receive(b"")
    assert broker.tubes() == ["default", "t"]
    assert session.take() == b"RESERVED 1 3\r\njob\r\nUSING t\r\n"
    assert repr(session) == "<ProtocolSession of 1.12: open>"
    session.close()
    assert repr(session) == "<ProtocolSession of 1.12: closed>"


@pytest.mark.parametrize("size", [3, 65536], ids=["put", "too big"])
def test_what_comes_with_the_last_byte_of_a_body_is_carried_out_at_once(
    size: int,
) -> None:
    broker = Broker()
    session = ProtocolSession(broker)
    session.receive(b"put 0 0 60 %d\r\n%b\r" % (size, b"x" * size))
    session.receive(b"\nuse t\r\n")
    assert broker.tubes() == ["default", "t"]


def test_a_broker_that_is_closed_closes_its_connections() -> None:
    broker = Broker()
    waits, works, asks = (ProtocolSession(broker) for _ in range(3))
    answer(waits, b"reserve\r\n")
    broker.close()
    assert answer(waits, b"stats\r\n") == b""
    assert answer(works, b"delete 1\r\n") == b""
    assert answer(asks, b"stats\r\n") == b""
    assert waits.closed
    assert works.closed
    assert asks.closed
    with pytest.raises(ClosedError):
        ProtocolSession(broker)


def test_a_reserve_that_nobody_will_ever_answer_raises_and_is_over() -> None:
    broker = Broker()
    session = ProtocolSession(broker)
    session.receive(b"reserve\r\nlist-tube-used\r\n")
    broker._monitor.fail_all(DeadlockError)
    with pytest.raises(DeadlockError):
        session.take()
    assert session.take() == b"USING default\r\n"


def test_a_job_that_came_before_the_end_of_input_is_delivered() -> None:
    broker = Broker()
    session = ProtocolSession(broker)
    session.receive(b"reserve\r\n")
    broker.producer().put(b"job")
    session.receive_eof()
    assert session.take() == b"RESERVED 1 3\r\njob\r\n"
    assert session.closed


def test_a_closed_session_takes_nothing_in() -> None:
    broker = Broker()
    session = ProtocolSession(broker)
    session.receive(b"put 0 0 60 3\r\njo")
    session.close()
    session.close()
    session.receive(b"b\r\n")
    session.receive_eof()
    assert session.take() == b""
    assert not session._input
    assert broker.stats().total_jobs == 0
    check(broker._engine)


def test_a_session_that_is_dropped_gives_its_jobs_back() -> None:
    broker = Broker()
    session = ProtocolSession(broker)
    answer(session, b"put 0 0 60 3\r\njob\r\nreserve\r\nput 0 0 60 3\r\njo")
    del session
    gc.collect()
    assert broker.consumer().reserve(timeout=0).body == b"job"
    assert list(broker._engine.jobs) == [1]
    check(broker._engine)


# Memory


def test_a_body_that_is_too_large_is_not_kept() -> None:
    session = ProtocolSession(Broker())
    session.receive(b"put 0 0 60 4294967295\r\n")
    for _ in range(10):
        session.receive(b"x" * 100_000)
        assert not session._input
    assert session._body is None


def test_a_closed_session_keeps_nothing_of_what_it_was_sent() -> None:
    session = ProtocolSession(Broker())
    session.receive(b"put 0 0 60 3\r\njo")
    other = ProtocolSession(Broker())
    other.receive(b"stat")
    for closed in (session, other):
        closed.close()
        assert closed._body is None
        assert not closed._input


def test_a_line_without_an_end_is_not_kept() -> None:
    session = ProtocolSession(Broker())
    for _ in range(10):
        session.receive(b"x" * 100_000)
        assert len(session._input) < 224


def test_no_command_is_begun_before_the_replies_so_far_are_taken() -> None:
    session = ProtocolSession(Broker())
    body = b"x" * 65535
    answer(session, b"put 0 0 60 65535\r\n%b\r\n" % body)
    session.receive(50 * b"peek 1\r\n")
    assert len(session._output) < 3 * len(body)
    found = b"FOUND 1 65535\r\n%b\r\n" % body
    assert b"".join(iter(session.take, b"")) == 50 * found
