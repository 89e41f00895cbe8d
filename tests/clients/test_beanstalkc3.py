"""beanstalkc3 0.4.0, unmodified: every method, against the fake and a real server."""

from __future__ import annotations

from contextlib import contextmanager
from typing import TYPE_CHECKING

import pytest
import yaml
from beanstalkc import (
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
def connect(address: tuple[str, int], **options: object) -> Iterator[Connection]:
    """Connect with a YAML reader that works, see the test of the default one."""
    connection = Connection(*address, **{"parse_yaml": yaml.safe_load, **options})
    try:
        yield connection
    finally:
        connection.close()
        # close() forgets the file it reads from, and that keeps the socket open.
        connection._socket_file.close()


@pytest.fixture
def connection(server: Server) -> Iterator[Connection]:
    with connect(server.address) as connection:
        yield connection


@pytest.fixture
def other(server: Server) -> Iterator[Connection]:
    with connect(server.address) as other:
        yield other


@pytest.fixture
def fake_connection(fake: FakeBeanstalkd) -> Iterator[Connection]:
    with connect(fake.address) as fake_connection:
        yield fake_connection


def fail(call: Callable[[], object]) -> tuple[str | bytes, str]:
    """Expect an answer that beanstalkc foresees; return the command and it."""
    with pytest.raises(CommandFailed) as error:
        call()
    command, word, rest = error.value.args
    assert rest == []
    return command, word


def refuse(call: Callable[[], object]) -> tuple[str | bytes, str]:
    """Expect an answer that it does not foresee; return the command and it."""
    with pytest.raises(UnexpectedResponse) as error:
        call()
    command, word, rest = error.value.args
    assert rest == []
    return command, word


def state_of(connection: Connection, jid: int) -> str:
    state = connection.stats_job(jid)["state"]
    assert isinstance(state, str)
    return state


# Connecting and closing.


def test_a_new_connection_uses_and_watches_default(
    server: Server, connection: Connection
) -> None:
    assert (connection.host, connection.port) == server.address
    assert connection.using() == "default"
    assert connection.watching() == ["default"]


def test_a_timeout_for_connecting_does_not_last(server: Server) -> None:
    with connect(server.address, connect_timeout=10) as connection:
        assert connection.using() == "default"
        assert connection._socket.gettimeout() is None


def test_where_nobody_listens_the_connection_fails(
    server: Server, connection: Connection, dead_address: tuple[str, int]
) -> None:
    assert server.address != dead_address
    # Not in a constructor: one that fails leaves its socket open.
    connection.host, connection.port = dead_address
    with connection._socket_file, pytest.raises(SocketError) as error:
        connection.reconnect()
    assert isinstance(error.value.args[0], ConnectionRefusedError)
    connection._socket.close()


def test_a_closed_connection_can_be_closed_again_but_not_used(
    connection: Connection,
) -> None:
    with connection as same:
        assert same is connection
    connection.close()
    with pytest.raises(SocketError):
        connection.using()


def test_closing_a_connection_gives_its_jobs_back(
    server: Server, connection: Connection, until: Until
) -> None:
    with connect(server.address) as leaver:
        jid = leaver.put("a")
        leaver.reserve(0)
    until(lambda: state_of(connection, jid) == "ready")
    assert connection.stats_job(jid)["releases"] == 0


def test_a_reconnected_connection_begins_anew(connection: Connection) -> None:
    connection.use("orders")
    connection.watch("orders")
    with connection._socket_file:
        connection.reconnect()
    assert connection.using() == "default"
    assert connection.watching() == ["default"]


def test_connecting_again_begins_anew(connection: Connection) -> None:
    connection.use("orders")
    # The old socket would be left open.
    with connection._socket_file, connection._socket:
        connection.connect()
    assert connection.using() == "default"


def test_the_default_yaml_reader_is_not_the_installed_ones(server: Server) -> None:
    # beanstalkc calls yaml.load(text), which PyYAML 6 refuses without a Loader.
    with connect(server.address, parse_yaml=True) as connection:
        assert connection.put("a") == 1
        for call in (connection.stats, connection.tubes, connection.watching):
            with pytest.raises(TypeError, match="Loader"):
                call()
        assert connection.using() == "default"


def test_without_yaml_lists_and_statistics_are_text(server: Server) -> None:
    with connect(server.address, parse_yaml=False) as connection:
        assert connection.tubes() == "---\n- default\n"
        assert connection.watching() == "---\n- default\n"
        assert connection.stats().startswith("---\ncurrent-jobs-urgent: 0\n")
        assert connection.stats_tube("default").startswith("---\nname: ")
        connection.put("a", priority=7)
        job = connection.reserve(0)
        assert job.stats().startswith("---\nid: 1\n")
        # Without a dict to find the job's priority in, it becomes the default.
        job.release()
        assert "\npri: 2147483648\n" in job.stats()


# Putting.


def test_put_returns_ids_counting_from_one(connection: Connection) -> None:
    assert [connection.put("a"), connection.put(b"b")] == [1, 2]


def test_put_defaults_are_beanstalkcs(connection: Connection) -> None:
    stats = connection.stats_job(connection.put("a"))
    assert (stats["pri"], stats["delay"], stats["ttr"]) == (2**31, 0, 120)


@pytest.mark.parametrize(
    ("numbers", "stored"),
    [
        ((0, 0, 1), (0, 0, 1)),
        ((U32_MAX, U32_MAX, U32_MAX), (U32_MAX, U32_MAX, U32_MAX)),
        ((0, 0, 0), (0, 0, 1)),
    ],
    ids=["least", "greatest", "a ttr of 0 is 1"],
)
def test_put_takes_the_whole_range(
    connection: Connection,
    numbers: tuple[int, int, int],
    stored: tuple[int, int, int],
) -> None:
    stats = connection.stats_job(connection.put("a", *numbers))
    assert (stats["pri"], stats["delay"], stats["ttr"]) == stored


@pytest.mark.parametrize(
    "numbers", [(-1, 0, 60), (U32_MAX + 1, 0, 60), (0, -1, 60), (0, 0, U32_MAX + 1)]
)
def test_put_outside_the_range_is_refused_and_its_body_read_as_a_command(
    connection: Connection, numbers: tuple[int, int, int]
) -> None:
    assert refuse(lambda: connection.put("a", *numbers)) == (b"put", "BAD_FORMAT")
    assert refuse(connection.using) == ("list-tube-used", "UNKNOWN_COMMAND")


def test_the_biggest_body_comes_back_whole(connection: Connection) -> None:
    connection.put("x" * BIGGEST)
    assert connection.reserve(0).body == "x" * BIGGEST


def test_a_body_too_big_is_swallowed_and_takes_no_id(connection: Connection) -> None:
    answer = fail(lambda: connection.put("x" * (BIGGEST + 1)))
    assert answer == (b"put", "JOB_TOO_BIG")
    assert connection.put("a") == 1


def test_a_draining_server_takes_no_jobs_but_gives_them(
    server: Server, connection: Connection
) -> None:
    connection.put("a")
    server.drain()
    assert fail(lambda: connection.put("b")) == (b"put", "DRAINING")
    assert connection.stats()["draining"] is True
    connection.reserve(0).release()
    connection.reserve(0).delete()


@pytest.mark.parametrize(
    "body",
    ["", " ", "  spaced  ", "a\r\nb\r\n", "\r\n", "é ☃ 𝄞", "DELETED\r\nquit\r\n", "\0"],
)
def test_text_comes_back_as_it_was(connection: Connection, body: str) -> None:
    jid = connection.put(body)
    for job in (connection.peek(jid), connection.peek_ready(), connection.reserve(0)):
        assert (job.jid, job.body) == (jid, body)


def test_without_an_encoding_bodies_are_bytes(server: Server) -> None:
    body = bytes(range(256))
    with connect(server.address, encoding=None) as connection:
        jid = connection.put(body)
        assert connection.peek(jid).body == body
        assert connection.reserve(0).body == body
        assert connection.stats_job(jid)["state"] == "reserved"
        with pytest.raises(ValueError, match="must be a bytes instance"):
            connection.put("text")


def test_another_encoding_is_on_the_wire(server: Server) -> None:
    with (
        connect(server.address, encoding="latin-1") as latin,
        connect(server.address, encoding=None) as raw,
    ):
        jid = latin.put("é")
        assert raw.peek(jid).body == b"\xe9"
        assert latin.peek(jid).body == "é"


def test_a_body_that_cannot_be_decoded_stays_reserved(connection: Connection) -> None:
    jid = connection.put(b"\xff")
    with pytest.raises(UnicodeDecodeError):
        connection.reserve(0)
    assert state_of(connection, jid) == "reserved"


def test_a_body_of_the_wrong_type_is_not_sent(connection: Connection) -> None:
    with pytest.raises(ValueError, match="must be a str or bytes instance"):
        connection.put(42)
    assert connection.stats()["cmd-put"] == 0


# Using and watching tubes.


def test_use_directs_puts_and_creates_the_tube(connection: Connection) -> None:
    assert connection.use("orders") == "orders"
    assert connection.using() == "orders"
    assert connection.stats_job(connection.put("a"))["tube"] == "orders"
    assert connection.tubes() == ["default", "orders"]


def test_watch_and_ignore_count_the_watched_tubes(connection: Connection) -> None:
    assert [connection.watch(tube) for tube in ("a", "a", "b")] == [2, 2, 3]
    assert connection.ignore("default") == 2
    assert connection.watching() == ["b", "a"]
    assert connection.ignore("a") == 1
    assert connection.ignore("not-watched") == 1
    # NOT_IGNORED is no error here: one tube is left, and it is still watched.
    assert connection.ignore("b") == 1
    assert connection.watching() == ["b"]


@pytest.mark.parametrize("tube", ["", "-a", "a:b", "a b", "x" * 201, "x" * 300])
def test_a_bad_name_is_refused_and_the_connection_goes_on(
    connection: Connection, tube: str
) -> None:
    calls: dict[str, Callable[[], object]] = {
        "use": lambda: connection.use(tube),
        "watch": lambda: connection.watch(tube),
        "ignore": lambda: connection.ignore(tube),
        "stats-tube": lambda: connection.stats_tube(tube),
        "pause-tube": lambda: connection.pause_tube(tube, 1),
    }
    for command, call in calls.items():
        assert refuse(call) == (command, "BAD_FORMAT")
    assert connection.tubes() == ["default"]


def test_a_name_outside_ascii_is_not_sent(connection: Connection) -> None:
    with pytest.raises(UnicodeEncodeError):
        connection.use("ü")
    assert connection.using() == "default"


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
    assert (job.jid, job.body, job.reserved) == (1, "a", True)
    assert job.conn is connection


@pytest.mark.parametrize("timeout", [0, 0.5])
def test_reserve_with_no_time_left_returns_nothing(
    connection: Connection, timeout: float
) -> None:
    assert connection.reserve(timeout) is None


def test_a_waiting_connection_is_given_the_next_job(
    connection: Connection, other: Connection, in_thread: InThread, until: Until
) -> None:
    answer = in_thread(connection.reserve)
    until(lambda: bool(other.stats()["current-waiting"] == 1))
    jid = other.put("a")
    assert state_of(other, jid) == "reserved"
    job = answer.result(timeout=10)
    assert (job.jid, job.body) == (jid, "a")


def test_reserve_in_the_last_second_of_a_job_is_told_so(
    server: Server, connection: Connection
) -> None:
    connection.put("a", ttr=10)
    job = connection.reserve(0)
    server.advance(9.5)
    for timeout in (0, None):
        with pytest.raises(DeadlineSoon) as error:
            connection.reserve(timeout)
        assert error.value.args == ([],)
    job.touch()
    assert connection.reserve(0) is None


# What is done with a job, by its id.


def test_delete_takes_a_job_in_every_state(connection: Connection) -> None:
    connection.put("reserved")
    connection.delete(connection.reserve(0).jid)
    connection.put("buried")
    buried = connection.reserve(0).jid
    connection.bury(buried)
    connection.delete(buried)
    connection.delete(connection.put("ready"))
    connection.delete(connection.put("delayed", delay=60))
    assert connection.stats_tube("default")["cmd-delete"] == 4


def test_release_bury_and_touch_act_on_ones_own_job(
    server: Server, connection: Connection
) -> None:
    jid = connection.put("a", ttr=10)
    connection.reserve(0)
    server.advance(7)
    connection.touch(jid)
    server.advance(7)
    assert state_of(connection, jid) == "reserved"
    connection.release(jid, priority=3, delay=20)
    stats = connection.stats_job(jid)
    assert (stats["state"], stats["pri"], stats["delay"]) == ("delayed", 3, 20)
    server.advance(21)
    connection.reserve(0)
    connection.release(jid)
    stats = connection.stats_job(jid)
    assert (stats["state"], stats["pri"], stats["delay"]) == ("ready", 2**31, 0)
    connection.reserve(0)
    connection.bury(jid)
    stats = connection.stats_job(jid)
    assert (stats["state"], stats["pri"], stats["buries"]) == ("buried", 2**31, 1)


def test_nobody_else_may_act_on_a_reserved_job(
    connection: Connection, other: Connection
) -> None:
    jid = connection.put("a")
    connection.reserve(0)
    verbs = {
        "delete": other.delete,
        "release": other.release,
        "bury": other.bury,
        "touch": other.touch,
        "kick-job": other.kick_job,
    }
    for command, verb in verbs.items():
        assert fail(lambda verb=verb: verb(jid)) == (command, "NOT_FOUND")  # type: ignore[misc] # the default binds this turn's verb
    connection.delete(jid)
    assert fail(lambda: connection.delete(jid)) == ("delete", "NOT_FOUND")
    assert fail(lambda: connection.stats_job(jid)) == ("stats-job", "NOT_FOUND")


@pytest.mark.parametrize("number", [-1, U32_MAX + 1])
def test_numbers_outside_the_range_are_refused(
    connection: Connection, number: int
) -> None:
    connection.put("a")
    job = connection.reserve(0)
    calls: list[Callable[[], object]] = [
        lambda: connection.release(job.jid, priority=number),
        lambda: job.release(delay=number),
        lambda: job.bury(priority=number),
        lambda: connection.pause_tube("default", number),
    ]
    answers = [refuse(call)[1] for call in calls]
    assert answers == ["BAD_FORMAT"] * 4
    assert job.stats()["state"] == "reserved"


# What is done with a job, by the job itself.


def test_a_job_deletes_itself_once(connection: Connection) -> None:
    connection.put("a")
    job = connection.reserve(0)
    job.delete()
    assert job.reserved is False
    assert fail(job.delete) == ("delete", "NOT_FOUND")
    assert fail(job.stats) == ("stats-job", "NOT_FOUND")


def test_a_job_released_or_buried_by_itself_keeps_its_priority(
    connection: Connection,
) -> None:
    connection.put("a", priority=7)
    job = connection.reserve(0)
    # Nought is not told from nothing, and means: as it is.
    job.release(priority=0)
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
    assert fail(job.kick) == ("kick-job", "NOT_FOUND")


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


def test_a_peeked_job_can_only_be_deleted_and_kicked(connection: Connection) -> None:
    connection.put("a", delay=60)
    job = connection.peek_delayed()
    assert job.reserved is False
    job.release()
    job.bury()
    job.touch()
    assert job.stats()["state"] == "delayed"
    job.kick()
    assert job.stats()["state"] == "ready"
    job.delete()
    assert connection.peek(job.jid) is None


# Time.


def test_a_job_whose_ttr_is_over_is_ready_for_anyone(
    server: Server, connection: Connection, other: Connection
) -> None:
    connection.put("a", ttr=10)
    job = connection.reserve(0)
    server.advance(11)
    assert other.reserve(0).jid == job.jid
    answers = [fail(verb) for verb in (job.touch, job.release, job.bury, job.delete)]
    assert [word for _, word in answers] == ["NOT_FOUND"] * 4
    stats = job.stats()
    assert (stats["reserves"], stats["timeouts"]) == (2, 1)


def test_a_delayed_job_arrives_when_its_delay_is_over(
    server: Server, connection: Connection
) -> None:
    jid = connection.put("a", delay=30)
    server.advance(29)
    assert connection.reserve(0) is None
    server.advance(2)
    assert connection.reserve(0).jid == jid


def test_a_paused_tube_gives_no_jobs_until_the_pause_ends(
    server: Server, connection: Connection
) -> None:
    connection.put("a")
    connection.pause_tube("default", 30)
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
    answer = fail(lambda: connection.pause_tube("nosuch", 1))
    assert answer == ("pause-tube", "NOT_FOUND")


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
    for jid in (buried.jid, delayed):
        connection.kick_job(jid)
    assert [state_of(connection, jid) for jid in (1, 2)] == ["ready", "ready"]
    assert fail(lambda: connection.kick_job(delayed)) == ("kick-job", "NOT_FOUND")


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
    answer = fail(lambda: connection.stats_tube("nosuch"))
    assert answer == ("stats-tube", "NOT_FOUND")


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


def test_a_long_wait_ends_at_once(
    fake: FakeBeanstalkd, fake_connection: Connection
) -> None:
    begin = fake.clock.now()
    assert fake_connection.reserve(30) is None
    assert fake.clock.now() == begin + 30


def test_a_wait_ends_with_the_delay_of_a_job(
    fake: FakeBeanstalkd, fake_connection: Connection
) -> None:
    begin = fake.clock.now()
    jid = fake_connection.put("a", delay=10)
    assert fake_connection.reserve().jid == jid
    assert fake.clock.now() == begin + 10


def test_a_dropped_connection_finds_out_and_can_be_made_again(
    fake: FakeBeanstalkd, fake_connection: Connection
) -> None:
    fake_connection.put("a")
    fake_connection.reserve(0)
    fake.drop()
    with pytest.raises(SocketError) as error:
        fake_connection.put("b")
    # Without a cause: what it met is the end of the stream.
    assert error.value.args == ()
    with fake_connection._socket_file:
        fake_connection.reconnect()
    assert fake_connection.reserve(0).body == "a"


def test_a_connection_dropped_while_it_waits_finds_out(
    fake: FakeBeanstalkd,
    fake_connection: Connection,
    in_thread: InThread,
    until: Until,
) -> None:
    answer = in_thread(fake_connection.reserve)
    with connect(fake.address) as looker:
        until(lambda: bool(looker.stats()["current-waiting"] == 1))
        fake.drop()
    with pytest.raises(SocketError) as error:
        answer.result(timeout=10)
    assert error.value.args == ()


def test_a_refusing_server_is_reached_again_when_restored(
    fake: FakeBeanstalkd, fake_connection: Connection
) -> None:
    fake.refuse()
    with fake_connection._socket_file, pytest.raises(SocketError) as error:
        fake_connection.reconnect()
    assert isinstance(error.value.args[0], ConnectionRefusedError)
    fake_connection._socket.close()
    fake.restore()
    fake_connection.reconnect()
    assert fake_connection.put("a") == 1
