"""pystalkd 1.3.0, unmodified: every method, against the fake and a real server.

pystalkd reads whatever arrives in one go and takes it for one reply. So these tests
also hold a server to sending each reply, with its body, in one piece.
"""

from __future__ import annotations

from contextlib import contextmanager
from datetime import timedelta
from typing import TYPE_CHECKING

import pytest
from pystalkd.Beanstalkd import (
    BeanstalkdException,
    CommandFailed,
    Connection,
    DeadlineSoon,
    SocketError,
    UnexpectedResponse,
)

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from inproc_tubes.fakes import FakeBeanstalkd
    from tests.clients.conftest import InThread, Server, Until

BIGGEST = 65535
U32_MAX = 2**32 - 1


@contextmanager
def connected(address: tuple[str, int], **options: bool) -> Iterator[Connection]:
    """Connect, and close in the end: pystalkd's connection is no context manager."""
    connection = Connection(*address, **options)
    try:
        yield connection
    finally:
        # Connection.close() leaves the socket open where it cannot send "quit".
        with connection._socket:
            connection.close()


@pytest.fixture
def connection(server: Server) -> Iterator[Connection]:
    with connected(server.address) as connection:
        yield connection


@pytest.fixture
def other(server: Server) -> Iterator[Connection]:
    with connected(server.address) as other:
        yield other


def failing(word: str) -> pytest.RaisesExc[Exception]:
    """Expect the error for an answer that pystalkd foresees."""
    return pytest.raises(CommandFailed, match=f"^{word}$")


def refused() -> pytest.RaisesExc[Exception]:
    """Expect the error for a malformed command."""
    return pytest.raises(BeanstalkdException, match=r"^BAD_FORMAT$")


def state_of(connection: Connection, job_id: int) -> str:
    state = connection.stats_job(job_id)["state"]
    assert isinstance(state, str)
    return state


# Connecting and closing.


def test_a_new_connection_uses_and_watches_default(connection: Connection) -> None:
    assert connection.using() == "default"
    assert connection.watching() == ["default"]


def test_where_nobody_listens_the_connection_fails(
    server: Server, dead_address: tuple[str, int]
) -> None:
    assert server.address != dead_address
    # Built in two steps: a constructor that fails leaves its socket open.
    with connected(server.address) as connection:
        connection.host, connection.port = dead_address
        connection.close()
        connection._socket = None
        with pytest.raises(SocketError) as error:
            connection.connect()
        assert isinstance(error.value.args[0], ConnectionRefusedError)


def test_a_closed_connection_cannot_be_used(connection: Connection) -> None:
    connection.close()
    connection.close()
    with pytest.raises(SocketError, match="Bad file descriptor"):
        connection.using()


def test_closing_a_connection_gives_its_jobs_back(
    server: Server, connection: Connection, until: Until
) -> None:
    with connected(server.address) as leaver:
        job_id = leaver.put("a")
        leaver.reserve(0)
    until(lambda: state_of(connection, job_id) == "ready")
    assert connection.stats_job(job_id)["releases"] == 0


def test_a_reconnected_connection_begins_anew(connection: Connection) -> None:
    connection.use("orders")
    connection.watch("orders")
    connection.reconnect()
    assert connection.using() == "default"
    assert connection.watching() == ["default"]


def test_without_yaml_lists_and_statistics_are_text(server: Server) -> None:
    with connected(server.address, parse_yaml=False) as connection:
        assert connection.tubes() == "---\n- default"
        assert connection.watching() == "---\n- default"
        assert connection.stats().startswith("---\ncurrent-jobs-urgent: 0\n")
        assert connection.stats_tube("default").startswith("---\nname: ")
        assert connection.stats_job(connection.put("a")).startswith("---\nid: 1\n")
        # Without a dict to find the job's priority in, it becomes the default.
        connection.put("b", priority=7)
        for _ in range(2):
            connection.reserve(0).release()
        assert "\npri: 2147483648\n" in connection.stats_job(2)


# Putting.


def test_put_returns_ids_counting_from_one(connection: Connection) -> None:
    assert [connection.put("a"), connection.put_bytes(b"b")] == [1, 2]


def test_put_defaults_are_pystalkds(connection: Connection) -> None:
    for job_id in (connection.put("a"), connection.put_bytes(b"b")):
        stats = connection.stats_job(job_id)
        assert (stats["pri"], stats["delay"], stats["ttr"]) == (2**31, 0, 120)


@pytest.mark.parametrize(
    ("numbers", "stored"),
    [
        ((0, 0, 1), (0, 0, 1)),
        ((U32_MAX, U32_MAX, U32_MAX), (U32_MAX, U32_MAX, U32_MAX)),
        ((0, 0, 0), (0, 0, 1)),
        ((5, timedelta(minutes=2), timedelta(hours=1)), (5, 120, 3600)),
    ],
    ids=["least", "greatest", "a ttr of 0 is 1", "timedeltas"],
)
def test_put_takes_the_whole_range(
    connection: Connection,
    numbers: tuple[int, int | timedelta, int | timedelta],
    stored: tuple[int, int, int],
) -> None:
    for job_id in (
        connection.put("a", *numbers),
        connection.put(b"a", *numbers, raw=True),
        connection.put_bytes(b"a", *numbers),
    ):
        stats = connection.stats_job(job_id)
        assert (stats["pri"], stats["delay"], stats["ttr"]) == stored


@pytest.mark.parametrize(
    "numbers", [(-1, 0, 60), (U32_MAX + 1, 0, 60), (0, -1, 60), (0, 0, U32_MAX + 1)]
)
def test_put_outside_the_range_is_refused(
    connection: Connection, numbers: tuple[int, int, int]
) -> None:
    # The body is read as a command, so this connection is out of step from here on.
    with refused():
        connection.put("a", *numbers)


def test_the_biggest_body_comes_back_whole(connection: Connection) -> None:
    connection.put("x" * BIGGEST)
    job = connection.reserve(0)
    assert (job.body, job.size) == ("x" * BIGGEST, BIGGEST)


def test_a_body_too_big_is_swallowed_and_takes_no_id(connection: Connection) -> None:
    with failing("JOB_TOO_BIG"):
        connection.put("x" * (BIGGEST + 1))
    assert connection.put("a") == 1


def test_a_draining_server_takes_no_jobs_but_gives_them(
    server: Server, connection: Connection
) -> None:
    connection.put("a")
    server.drain()
    with failing("DRAINING"):
        connection.put("b")
    assert connection.stats()["draining"] is True
    connection.reserve(0).release()
    connection.reserve(0).delete()


@pytest.mark.parametrize("body", ["a", "a b\tc", "a\r\nb", "é ☃ 𝄞", "DELETED", "\0"])
def test_text_comes_back_as_it_was(connection: Connection, body: str) -> None:
    job_id = connection.put(body)
    size = len(body.encode())
    for job in (
        connection.peek(job_id),
        connection.peek_ready(),
        connection.reserve(0),
    ):
        assert (job.job_id, job.body, job.size) == (job_id, body, size)
        assert job.reserved is True


def test_bytes_come_back_as_they_were(connection: Connection) -> None:
    # Begun and ended by what is not white, since that is stripped, see below.
    body = b"\0" + bytes(range(256))
    for put in (connection.put_bytes, lambda body: connection.put(body, raw=True)):
        put(body)
        assert connection.reserve_bytes(0).body == body
        put(body)
        assert connection.reserve(0, raw=True).body == body


def test_white_space_around_a_body_is_lost_by_the_client(
    connection: Connection,
) -> None:
    connection.put("  a b\r\n")
    job = connection.reserve(0)
    assert (job.body, job.size) == ("a b", 7)


def test_an_empty_body_is_text_even_among_bytes(connection: Connection) -> None:
    connection.put_bytes(b"")
    job = connection.reserve_bytes(0)
    assert (job.body, job.size) == ("", 0)


def test_a_body_of_the_wrong_type_is_not_sent(connection: Connection) -> None:
    with pytest.raises(AssertionError, match="must be a str instance"):
        connection.put(b"a")
    with pytest.raises(AssertionError, match="must be a bytes instance"):
        connection.put_bytes("a")
    assert connection.stats()["cmd-put"] == 0


# Commands sent as they are.


def test_send_returns_the_word_and_the_rest(connection: Connection) -> None:
    assert connection.send("use", "orders") == ("USING", b"orders")
    assert connection.send("peek", 99) == ("NOT_FOUND", b"NOT_FOUND")
    assert connection.send("put", 0, 0, 60, b"1\r\na") == ("INSERTED", b"1")
    assert connection.send("delete", b"1") == ("DELETED", b"DELETED")
    with pytest.raises(BeanstalkdException, match=r"^UNKNOWN_COMMAND$"):
        connection.send("nosuch")


def test_parse_job_makes_a_job_of_an_answer(connection: Connection) -> None:
    connection.put("a b")
    word, answer = connection.send("reserve")
    job = connection.parse_job(str(answer, "utf8"))
    assert (word, job.job_id, job.body, job.size) == ("RESERVED", 1, "a b", 3)
    job.delete()


def test_send_command_sorts_the_answers(connection: Connection) -> None:
    answer = connection.send_command("use", "orders", ok_status=["USING"])
    assert answer == ("USING", b"orders")
    with failing("NOT_FOUND"):
        connection.send_command("delete", 99, error_status=["NOT_FOUND"])
    with pytest.raises(UnexpectedResponse, match=r"^NOT_FOUND$"):
        connection.send_command("delete", 99)


def test_a_body_longer_than_it_says_is_refused(connection: Connection) -> None:
    with failing("EXPECTED_CRLF"):
        connection.send_command(
            "put", 0, 0, 60, "1\r\nab", error_status=["EXPECTED_CRLF"]
        )


# Using and watching tubes.


def test_use_directs_puts_and_creates_the_tube(connection: Connection) -> None:
    assert connection.use("orders") == "orders"
    assert connection.using() == "orders"
    assert connection.stats_job(connection.put("a"))["tube"] == "orders"
    assert connection.tubes() == ["default", "orders"]


def test_a_tube_can_be_used_for_a_while(connection: Connection) -> None:
    connection.use("emails")
    with connection.temporary_use("orders"):
        assert connection.using() == "orders"
    assert connection.using() == "emails"


def test_a_tube_can_be_watched_for_a_while(connection: Connection) -> None:
    with connection.temporary_watch("orders"):
        assert connection.watching() == ["default", "orders"]
    assert connection.watching() == ["default"]


def test_watch_and_ignore_count_the_watched_tubes(connection: Connection) -> None:
    assert [connection.watch(tube) for tube in ("a", "a", "b")] == [2, 2, 3]
    assert connection.ignore("default") == 2
    assert connection.watching() == ["b", "a"]
    assert connection.ignore("a") == 1
    assert connection.ignore("not-watched") == 1
    with failing("NOT_IGNORED"):
        connection.ignore("b")


@pytest.mark.parametrize("tube", ["-a", "a:b", "a b", "a*", "ü"])
def test_a_bad_name_is_refused_and_the_connection_goes_on(
    connection: Connection, tube: str
) -> None:
    calls: list[Callable[[], object]] = [
        lambda: connection.use(tube),
        lambda: connection.watch(tube),
        lambda: connection.ignore(tube),
        lambda: connection.stats_tube(tube),
        lambda: connection.pause_tube(tube, 1),
    ]
    for call in calls:
        with refused():
            call()
    assert connection.tubes() == ["default"]


def test_a_name_too_long_is_refused_by_the_client_or_the_server(
    connection: Connection,
) -> None:
    assert connection.use("x" * 200) == "x" * 200
    for verb in (connection.watch, connection.ignore, connection.stats_tube):
        with pytest.raises(ValueError, match="at most 200 bytes"):
            verb("x" * 201)
    for tube in ("x" * 201, "x" * 300):
        with refused():
            connection.use(tube)


# Reserving.


def test_reserve_prefers_the_lowest_priority_then_the_lowest_id(
    connection: Connection, other: Connection
) -> None:
    connection.watch("orders")
    other.put("second", priority=5)
    other.put("third", priority=5)
    other.use("orders")
    other.put("first", priority=1)
    bodies = [connection.reserve(0).body for _ in range(3)]
    assert bodies == ["first", "second", "third"]


def test_reserve_without_a_timeout_answers_at_once_when_a_job_is_ready(
    connection: Connection,
) -> None:
    connection.put("a")
    job = connection.reserve()
    assert (job.job_id, job.body, job.size, job.reserved) == (1, "a", 1, True)
    assert job.connection is connection
    connection.put("b")
    assert connection.reserve_bytes().body == b"b"


def test_reserve_with_no_time_left_returns_nothing(connection: Connection) -> None:
    assert connection.reserve(0) is None
    assert connection.reserve_bytes(0) is None
    assert connection.reserve(timedelta(milliseconds=900)) is None


def test_a_waiting_connection_is_given_the_next_job(
    connection: Connection, other: Connection, in_thread: InThread, until: Until
) -> None:
    answer = in_thread(connection.reserve)
    until(lambda: bool(other.stats()["current-waiting"] == 1))
    job_id = other.put("a")
    assert state_of(other, job_id) == "reserved"
    job = answer.result(timeout=10)
    assert (job.job_id, job.body) == (job_id, "a")


def test_reserve_in_the_last_second_of_a_job_is_told_so(
    server: Server, connection: Connection
) -> None:
    connection.put("a", ttr=10)
    job = connection.reserve(0)
    server.advance(9.5)
    for call in (
        lambda: connection.reserve(0),
        connection.reserve,
        connection.reserve_bytes,
    ):
        with pytest.raises(DeadlineSoon) as error:
            call()
        assert error.value.args == (b"DEADLINE_SOON",)
    job.touch()
    assert connection.reserve(0) is None


# What is done with a job, by its id.


def test_delete_takes_a_job_in_every_state(connection: Connection) -> None:
    connection.put("reserved")
    connection.delete(connection.reserve(0).job_id)
    connection.put("buried")
    buried = connection.reserve(0).job_id
    connection.bury(buried)
    connection.delete(buried)
    connection.delete(connection.put("ready"))
    connection.delete(connection.put("delayed", delay=60))
    assert connection.stats_tube("default")["cmd-delete"] == 4


def test_release_bury_and_touch_act_on_ones_own_job(
    server: Server, connection: Connection
) -> None:
    job_id = connection.put("a", ttr=10)
    connection.reserve(0)
    server.advance(7)
    connection.touch(job_id)
    server.advance(7)
    assert state_of(connection, job_id) == "reserved"
    connection.release(job_id, priority=3, delay=timedelta(seconds=20))
    stats = connection.stats_job(job_id)
    assert (stats["state"], stats["pri"], stats["delay"]) == ("delayed", 3, 20)
    server.advance(21)
    connection.reserve(0)
    connection.release(job_id)
    stats = connection.stats_job(job_id)
    assert (stats["state"], stats["pri"], stats["delay"]) == ("ready", 2**31, 0)
    connection.reserve(0)
    connection.bury(job_id, priority=9)
    stats = connection.stats_job(job_id)
    assert (stats["state"], stats["pri"], stats["buries"]) == ("buried", 9, 1)


def test_nobody_else_may_act_on_a_reserved_job(
    connection: Connection, other: Connection
) -> None:
    job_id = connection.put("a")
    connection.reserve(0)
    for verb in (other.delete, other.release, other.bury, other.touch, other.kick_job):
        with failing("NOT_FOUND"):
            verb(job_id)
    connection.delete(job_id)
    for verb in (connection.delete, connection.touch, connection.stats_job):
        with failing("NOT_FOUND"):
            verb(job_id)


@pytest.mark.parametrize("number", [-1, U32_MAX + 1])
def test_numbers_outside_the_range_are_refused(
    connection: Connection, number: int
) -> None:
    connection.put("a")
    job = connection.reserve(0)
    calls: list[Callable[[], object]] = [
        lambda: connection.release(job.job_id, priority=number),
        lambda: job.release(delay=number),
        lambda: job.bury(priority=number),
        lambda: connection.pause_tube("default", number),
    ]
    for call in calls:
        with refused():
            call()
    assert job.stats()["state"] == "reserved"


# What is done with a job, by the job itself.


def test_a_job_deletes_itself_once(connection: Connection) -> None:
    connection.put("a")
    job = connection.reserve(0)
    job.delete()
    assert job.reserved is False
    with failing("NOT_FOUND"):
        job.delete()
    with failing("NOT_FOUND"):
        job.stats()


def test_a_job_released_or_buried_by_itself_keeps_its_priority(
    connection: Connection,
) -> None:
    connection.put("a", priority=7)
    job = connection.reserve(0)
    job.release()
    assert job.reserved is False
    assert (job.stats()["state"], job.stats()["pri"]) == ("ready", 7)
    job = connection.reserve(0)
    job.bury()
    assert job.reserved is False
    assert (job.stats()["state"], job.stats()["pri"]) == ("buried", 7)
    # No longer reserved, as this object knows: nothing is sent.
    job.release()
    job.bury()
    job.touch()
    assert job.stats()["state"] == "buried"
    job.kick()
    assert job.stats()["state"] == "ready"
    with failing("NOT_FOUND"):
        job.kick()


def test_a_job_takes_another_priority_and_a_delay(
    server: Server, connection: Connection
) -> None:
    connection.put("a")
    job = connection.reserve(0)
    job.release(priority=3, delay=20)
    stats = job.stats()
    assert (stats["state"], stats["pri"], stats["delay"]) == ("delayed", 3, 20)
    server.advance(21)
    connection.reserve(0).bury(priority=9)
    assert job.stats()["pri"] == 9


def test_a_peeked_job_believes_itself_reserved(connection: Connection) -> None:
    connection.put("a")
    job = connection.peek_ready()
    for verb in (job.release, job.bury, job.touch):
        with failing("NOT_FOUND"):
            verb()


# Time.


def test_a_job_whose_ttr_is_over_is_ready_for_anyone(
    server: Server, connection: Connection, other: Connection
) -> None:
    connection.put("a", ttr=timedelta(seconds=10))
    job = connection.reserve(0)
    server.advance(11)
    assert other.reserve(0).job_id == job.job_id
    for verb in (job.touch, job.release, job.bury, job.delete):
        with failing("NOT_FOUND"):
            verb()
    stats = job.stats()
    assert (stats["reserves"], stats["timeouts"]) == (2, 1)


def test_a_delayed_job_arrives_when_its_delay_is_over(
    server: Server, connection: Connection
) -> None:
    job_id = connection.put("a", delay=timedelta(seconds=30))
    server.advance(29)
    assert connection.reserve(0) is None
    server.advance(2)
    assert connection.reserve(0).job_id == job_id


def test_a_paused_tube_gives_no_jobs_until_the_pause_ends(
    server: Server, connection: Connection
) -> None:
    connection.put("a")
    connection.pause_tube("default", timedelta(seconds=30))
    assert connection.reserve(0) is None
    assert connection.stats_tube("default")["pause"] == 30
    server.advance(31)
    assert connection.reserve(0).body == "a"


def test_a_pause_of_zero_ends_the_pause(server: Server, connection: Connection) -> None:
    connection.put("a")
    connection.pause_tube("default", 1000)
    connection.pause_tube("default", 0)
    # beanstalkd pauses for a nanosecond then, and its clock stands still.
    server.advance(0)
    assert connection.reserve(0).body == "a"
    with failing("NOT_FOUND"):
        connection.pause_tube("nosuch", 1)


# Looking and kicking.


def test_peek_looks_at_the_next_job_of_the_used_tube(connection: Connection) -> None:
    for body in ("buried first", "buried second"):
        connection.put(body)
        connection.reserve(0).bury()
    connection.put("ready later", priority=9)
    connection.put("ready next", priority=1)
    connection.put("delayed longer", delay=90)
    connection.put("delayed shorter", delay=30)
    assert connection.peek_ready().body == "ready next"
    assert connection.peek_delayed().body == "delayed shorter"
    assert connection.peek_buried().body == "buried first"
    connection.use("empty")
    for peek in (
        connection.peek_ready,
        connection.peek_delayed,
        connection.peek_buried,
        lambda: connection.peek(99),
    ):
        assert peek() is None
    assert connection.peek(1).body == "buried first"


def test_kick_takes_buried_jobs_first_and_never_mixes(connection: Connection) -> None:
    for _ in range(3):
        connection.put("buried")
        connection.reserve(0).bury()
    delayed = connection.put("delayed", delay=60)
    assert connection.kick() == 1
    assert connection.kick(10) == 2
    assert state_of(connection, delayed) == "delayed"
    assert connection.kick(10) == 1
    assert state_of(connection, delayed) == "ready"
    assert connection.kick(10) == 0


def test_kick_job_takes_a_buried_or_a_delayed_job(connection: Connection) -> None:
    connection.put("buried")
    buried = connection.reserve(0)
    buried.bury()
    delayed = connection.put("delayed", delay=60)
    for job_id in (buried.job_id, delayed):
        connection.kick_job(job_id)
        assert state_of(connection, job_id) == "ready"
        with failing("NOT_FOUND"):
            connection.kick_job(job_id)


# Statistics.


def test_stats_job_tells_all_of_a_job(
    connection: Connection, stats_job_keys: list[str]
) -> None:
    connection.use("orders")
    stats = connection.stats_job(connection.put("a", 7, 20, 100))
    assert list(stats) == stats_job_keys
    assert stats.pop("time-left") in {19, 20}
    assert list(stats.values()) == [
        *(1, "orders", "delayed", 7, 0, 20, 100),
        *(0, 0, 0, 0, 0, 0),
    ]


def test_stats_tube_tells_all_of_a_tube(
    connection: Connection, stats_tube_keys: list[str]
) -> None:
    connection.use("orders")
    connection.watch("orders")
    connection.put("a")
    connection.reserve(0).bury()
    connection.put("a")
    connection.reserve(0)
    connection.put("a", priority=1023)
    connection.put("a", delay=60)
    connection.delete(connection.put("a"))
    stats = connection.stats_tube("orders")
    assert list(stats) == stats_tube_keys
    assert list(stats.values()) == ["orders", 1, 1, 1, 1, 1, 5, 1, 1, 0, 1, 0, 0, 0]
    with failing("NOT_FOUND"):
        connection.stats_tube("nosuch")


def test_stats_tells_all_of_the_server(
    connection: Connection, stats_keys: list[str], server: Server
) -> None:
    connection.put("a")
    stats = connection.stats()
    assert list(stats) == stats_keys
    assert stats["version"] == server.version
    assert stats["max-job-size"] == BIGGEST
    assert stats["draining"] is False
    assert (stats["cmd-put"], stats["cmd-stats"], stats["total-jobs"]) == (1, 1, 1)


# What only the fake can do: time that jumps, and outages.


def test_a_long_wait_ends_at_once(fake: FakeBeanstalkd) -> None:
    begin = fake.clock.now()
    with connected(fake.address) as connection:
        assert connection.reserve(30) is None
        assert fake.clock.now() == begin + 30
        assert connection.reserve_bytes(timedelta(minutes=1)) is None
        assert fake.clock.now() == begin + 90


def test_a_wait_ends_with_the_delay_of_a_job(fake: FakeBeanstalkd) -> None:
    begin = fake.clock.now()
    with connected(fake.address) as connection:
        job_id = connection.put("a", delay=10)
        assert connection.reserve().job_id == job_id
    assert fake.clock.now() == begin + 10


def test_a_dropped_connection_reads_nothing_and_can_be_made_again(
    fake: FakeBeanstalkd,
) -> None:
    with connected(fake.address) as connection:
        connection.put("a")
        connection.reserve(0)
        fake.drop()
        # pystalkd unpacks what it reads at the end of the stream: nothing.
        with pytest.raises(ValueError, match="not enough values to unpack"):
            connection.put("b")
        with connection._socket:
            connection.reconnect()
        assert connection.reserve(0).body == "a"


def test_a_connection_dropped_while_it_waits_reads_nothing(
    fake: FakeBeanstalkd, in_thread: InThread, until: Until
) -> None:
    with connected(fake.address) as connection, connected(fake.address) as looker:
        answer = in_thread(connection.reserve)
        until(lambda: bool(looker.stats()["current-waiting"] == 1))
        fake.drop()
        with pytest.raises(ValueError, match="not enough values to unpack"):
            answer.result(timeout=10)


def test_a_refusing_server_is_reached_again_when_restored(
    fake: FakeBeanstalkd,
) -> None:
    with connected(fake.address) as connection:
        fake.refuse()
        with connection._socket, pytest.raises(SocketError) as error:
            connection.reconnect()
        assert isinstance(error.value.args[0], ConnectionRefusedError)
        connection._socket.close()
        fake.restore()
        connection.reconnect()
        assert connection.put("a") == 1
