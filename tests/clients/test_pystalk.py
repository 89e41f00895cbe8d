"""pystalk 0.9.1, unmodified: every method, against the fake and a real server."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest
from pystalk import (
    BeanstalkClient,
    BeanstalkConnectionError,
    BeanstalkError,
    ProductionPool,
)
from pystalk.client import Job
from pystalk.pool import NoMoreClients

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from inproc_tubes.fakes import FakeBeanstalkd
    from tests.clients.conftest import InThread, Server, Until

BIGGEST = 65535
U32_MAX = 2**32 - 1
NEVER = 1e9  # seconds: a backoff that no test outlives


@pytest.fixture
def client(server: Server) -> Iterator[BeanstalkClient]:
    client = BeanstalkClient(*server.address)
    yield client
    client.close()


@pytest.fixture
def other(server: Server) -> Iterator[BeanstalkClient]:
    other = BeanstalkClient(*server.address)
    yield other
    other.close()


@pytest.fixture
def fake_client(fake: FakeBeanstalkd) -> Iterator[BeanstalkClient]:
    fake_client = BeanstalkClient(*fake.address)
    yield fake_client
    fake_client.close()


@pytest.fixture
def second_fake() -> Iterator[FakeBeanstalkd]:
    from inproc_tubes.fakes import FakeBeanstalkd  # noqa: PLC0415 # as in conftest

    with FakeBeanstalkd(("127.0.0.1", 11301)) as second_fake:
        yield second_fake


def answering(word: str) -> pytest.RaisesExc[Exception]:
    """Expect pystalk's one error, with this word of the server's."""
    return pytest.raises(BeanstalkError, match=f"^{word}$")


def put(client: BeanstalkClient, body: str | bytes = b"a", **numbers: int) -> int:
    word, job_id = client.put_job(body, **numbers)
    assert word == b"INSERTED"
    assert isinstance(job_id, int)
    return job_id


def state_of(client: BeanstalkClient, job: Job | int) -> str:
    state = client.stats_job(job)["state"]
    assert isinstance(state, str)
    return state


# Connecting and closing.


def test_a_client_connects_with_its_first_command(
    server: Server, client: BeanstalkClient
) -> None:
    sockets = [client.socket]
    assert client.list_tubes() == ["default"]
    sockets.append(client.socket)
    assert [socket is None for socket in sockets] == [True, False]
    assert (client.host, client.port) == server.address


def test_ping_opens_a_connection_and_closes_it(client: BeanstalkClient) -> None:
    assert client.ping() is True
    assert client.socket is None


def test_where_nobody_listens_the_error_tells_where(
    server: Server, dead_address: tuple[str, int]
) -> None:
    assert server.address != dead_address
    client = BeanstalkClient(*dead_address)
    for call in (client.ping, client.list_tubes):
        with pytest.raises(
            BeanstalkConnectionError, match=r"^Failed to connect to beanstalkd at "
        ) as error:
            call()
        assert (error.value.host, error.value.port) == dead_address
        assert isinstance(error.value.err, ConnectionRefusedError)


@pytest.mark.parametrize("scheme", ["beanstalk", "beanstalkd"])
def test_a_client_is_made_from_a_uri(server: Server, scheme: str) -> None:
    host, port = server.address
    client = BeanstalkClient.from_uri(
        f"{scheme}://{host}:{port}", socket_timeout=10, auto_decode=True
    )
    put(client, "text")
    assert client.peek_ready().job_data == "text"
    client.close()


@pytest.mark.parametrize(
    ("uri", "host", "port"),
    [
        ("beanstalkd://beanstalkd", "beanstalkd", 11300),
        ("beanstalkd://[::1]", "::1", 11300),
        ("beanstalkd://[::1]:11301", "::1", 11301),
    ],
)
def test_a_uri_may_leave_out_the_port(uri: str, host: str, port: int) -> None:
    client = BeanstalkClient.from_uri(uri)
    assert (client.host, client.port) == (host, port)


def test_a_uri_of_another_scheme_is_refused() -> None:
    with pytest.raises(ValueError, match=r"^Invalid scheme redis$"):
        BeanstalkClient.from_uri("redis://localhost")


def test_a_closed_client_connects_again_and_finds_its_tubes(
    client: BeanstalkClient, other: BeanstalkClient, until: Until
) -> None:
    client.use("orders")
    client.watch("emails")
    client.close()
    assert (client.socket, client.current_tube) == (None, "default")
    until(lambda: other.list_tubes() == ["default"])
    put(client, b"to orders")
    assert other.stats_tube("orders")["current-using"] == 1
    assert other.stats_tube("emails")["current-watching"] == 1
    assert client.watchlist == {"emails"}
    with answering("TIMED_OUT"):
        client.reserve_job(0)


def test_closing_a_client_gives_its_jobs_back(
    client: BeanstalkClient, other: BeanstalkClient, until: Until
) -> None:
    job_id = put(client)
    client.reserve_job(0)
    client.close()
    until(lambda: state_of(other, job_id) == "ready")
    assert other.stats_job(job_id)["releases"] == 0


# Putting.


def test_put_job_returns_the_word_and_ids_counting_from_one(
    client: BeanstalkClient,
) -> None:
    assert client.put_job(b"a") == (b"INSERTED", 1)
    assert client.put_job("b") == (b"INSERTED", 2)


def test_put_job_defaults_are_pystalks(client: BeanstalkClient) -> None:
    stats = client.stats_job(put(client))
    assert (stats["pri"], stats["delay"], stats["ttr"]) == (65536, 0, 120)


@pytest.mark.parametrize(
    ("numbers", "stored"),
    [
        ((0, 0, 1), (0, 0, 1)),
        ((U32_MAX, U32_MAX, U32_MAX), (U32_MAX, U32_MAX, U32_MAX)),
        ((0, 0, 0), (0, 0, 1)),
    ],
    ids=["least", "greatest", "a ttr of 0 is 1"],
)
def test_put_job_takes_the_whole_range(
    client: BeanstalkClient,
    numbers: tuple[int, int, int],
    stored: tuple[int, int, int],
) -> None:
    pri, delay, ttr = numbers
    stats = client.stats_job(put(client, pri=pri, delay=delay, ttr=ttr))
    assert (stats["pri"], stats["delay"], stats["ttr"]) == stored


@pytest.mark.parametrize(
    "numbers",
    [{"pri": -1}, {"pri": U32_MAX + 1}, {"delay": -1}, {"ttr": U32_MAX + 1}],
)
def test_put_job_outside_the_range_is_refused(
    client: BeanstalkClient, numbers: dict[str, int]
) -> None:
    # The body is read as a command, and pystalk may read the answer to it as well.
    with pytest.raises(BeanstalkError, match=r"^BAD_FORMAT(\s+UNKNOWN_COMMAND)?$"):
        put(client, b"a", **numbers)


def test_the_biggest_body_comes_back_whole(client: BeanstalkClient) -> None:
    put(client, b"x" * BIGGEST)
    assert client.reserve_job(0).job_data == b"x" * BIGGEST


def test_a_body_too_big_is_swallowed_and_takes_no_id(client: BeanstalkClient) -> None:
    with answering("JOB_TOO_BIG"):
        put(client, b"x" * (BIGGEST + 1))
    assert put(client) == 1


def test_a_draining_server_takes_no_jobs_but_gives_them(
    server: Server, client: BeanstalkClient
) -> None:
    put(client)
    server.drain()
    with answering("DRAINING"):
        put(client)
    assert client.stats()["draining"] is True
    client.release_job(client.reserve_job(0))
    client.delete_job(client.reserve_job(0))


@pytest.mark.parametrize(
    "body", [b"", b" ", b" a ", b"a\r\nb\r\n", b"\r\n", bytes(range(256)), b"OK 1\r\n"]
)
def test_bytes_come_back_as_they_were(client: BeanstalkClient, body: bytes) -> None:
    put(client, body)
    assert client.peek_ready().job_data == body
    assert client.reserve_job(0).job_data == body


def test_text_comes_back_as_utf8_or_decoded_if_asked(
    server: Server, client: BeanstalkClient
) -> None:
    put(client, "é ☃ 𝄞")
    assert client.peek_ready().job_data == "é ☃ 𝄞".encode()
    decoding = BeanstalkClient(*server.address, auto_decode=True)
    assert decoding.peek_ready().job_data == "é ☃ 𝄞"
    decoding.close()


def test_a_body_that_cannot_be_decoded_stays_reserved(
    server: Server, client: BeanstalkClient
) -> None:
    job_id = put(client, b"\xff")
    decoding = BeanstalkClient(*server.address, auto_decode=True)
    with pytest.raises(UnicodeDecodeError):
        decoding.reserve_job(0)
    assert state_of(client, job_id) == "reserved"
    decoding.close()


def test_put_job_into_puts_elsewhere_and_comes_back(client: BeanstalkClient) -> None:
    client.use("emails")
    word, job_id = client.put_job_into("orders", b"a", pri=3, delay=20, ttr=30)
    assert word == b"INSERTED"
    stats = client.stats_job(job_id)
    assert stats["tube"] == "orders"
    assert (stats["pri"], stats["delay"], stats["ttr"]) == (3, 20, 30)
    assert client.current_tube == "emails"
    assert client.stats_job(put(client))["tube"] == "emails"


# Using and watching tubes.


def test_use_directs_puts_and_creates_the_tube(client: BeanstalkClient) -> None:
    client.use("orders")
    client.use("orders")
    assert (client.current_tube, client.desired_tube) == ("orders", "orders")
    assert client.stats_job(put(client))["tube"] == "orders"
    assert client.list_tubes() == ["default", "orders"]
    assert client.stats()["cmd-use"] == 1


def test_using_puts_into_a_tube_and_comes_back(client: BeanstalkClient) -> None:
    with client.using("orders") as orders, client.using("emails") as emails:
        word, job_id = orders.put_job(b"a", pri=3, delay=20, ttr=30)
        stats = client.stats_job(job_id)
        assert (word, stats["tube"]) == (b"INSERTED", "orders")
        assert (stats["pri"], stats["delay"], stats["ttr"]) == (3, 20, 30)
        _, job_id = emails.put_job("b")
        assert client.stats_job(job_id)["tube"] == "emails"
    assert client.stats_job(put(client))["tube"] == "default"


@pytest.mark.parametrize("tube", ["-a", "a:b", "a b", "x" * 201, "x" * 300, "ü"])
def test_a_bad_name_is_refused_and_the_connection_goes_on(
    client: BeanstalkClient, tube: str
) -> None:
    calls: list[Callable[[], object]] = [
        lambda: client.use(tube),
        lambda: client.stats_tube(tube),
        lambda: client.pause_tube(tube, 1),
        lambda: client.unpause_tube(tube),
        lambda: client.put_job_into(tube, b"a"),
        lambda: client.watch(tube),
    ]
    for call in calls:
        with answering("BAD_FORMAT"):
            call()
    assert client.list_tubes() == ["default"]


def test_the_first_watch_of_another_tube_leaves_default(
    client: BeanstalkClient,
) -> None:
    client.watch("a")
    assert client.watchlist == {"a"}
    client.watch("b")
    client.watch("default")
    client.watch("default")
    assert client.watchlist == {"a", "b", "default"}
    assert client.stats_tube("default")["current-watching"] >= 1
    assert client.stats()["cmd-watch"] == 3
    client.ignore("a")
    assert client.watchlist == {"b", "default"}


def test_ignore_refuses_an_unwatched_and_the_last_tube(client: BeanstalkClient) -> None:
    with pytest.raises(KeyError, match="nosuch"):
        client.ignore("nosuch")
    client.watch("a")
    with answering("NOT_IGNORED"):
        client.ignore("a")
    assert client.stats_tube("a")["current-watching"] == 1


def test_the_watchlist_can_be_set(client: BeanstalkClient) -> None:
    client.watchlist = ["a", "b"]
    assert client.watchlist == {"a", "b"}
    client.watchlist = ["b", "c"]
    assert client.watchlist == {"b", "c"}
    assert sorted(client.list_tubes()) == ["b", "c", "default"]


# Reserving.


def test_reserve_job_prefers_the_lowest_priority_then_the_lowest_id(
    client: BeanstalkClient, other: BeanstalkClient
) -> None:
    client.watch("orders")
    client.watch("default")
    put(other, b"second", pri=5)
    put(other, b"third", pri=5)
    other.put_job_into("orders", b"first", pri=1)
    jobs = [client.reserve_job(0) for _ in range(3)]
    assert jobs == [Job(3, b"first"), Job(1, b"second"), Job(2, b"third")]


@pytest.mark.parametrize("timeout", [0, 0.5])
def test_reserve_job_with_no_time_left_is_timed_out(
    client: BeanstalkClient, timeout: float
) -> None:
    with answering("TIMED_OUT"):
        client.reserve_job(timeout)


def test_reserve_job_takes_only_from_watched_tubes(client: BeanstalkClient) -> None:
    client.put_job_into("orders", b"a")
    with answering("TIMED_OUT"):
        client.reserve_job(0)
    client.watch("orders")
    assert client.reserve_job(0).job_data == b"a"


def test_a_timeout_beyond_the_sockets_is_refused(server: Server) -> None:
    client = BeanstalkClient(*server.address, socket_timeout=10)
    with pytest.raises(ValueError, match="must be < socket timeout"):
        client.reserve_job(10)
    put(client)
    assert client.reserve_job(9).job_data == b"a"
    client.close()


def test_a_waiting_client_is_given_the_next_job(
    client: BeanstalkClient, other: BeanstalkClient, in_thread: InThread, until: Until
) -> None:
    answer = in_thread(client.reserve_job)
    until(lambda: bool(other.stats()["current-waiting"] == 1))
    job_id = put(other)
    assert state_of(other, job_id) == "reserved"
    assert answer.result(timeout=10) == Job(job_id, b"a")


def test_reserve_job_in_the_last_second_of_a_job_is_told_so(
    server: Server, client: BeanstalkClient
) -> None:
    job_id = put(client, ttr=10)
    client.reserve_job(0)
    server.advance(9.5)
    for timeout in (0, 30):
        with answering("DEADLINE_SOON"):
            client.reserve_job(timeout)
    assert state_of(client, job_id) == "reserved"


def test_reserve_iter_ends_when_nothing_is_ready(client: BeanstalkClient) -> None:
    for body in (b"a", b"b", b"c"):
        put(client, body)
    bodies = []
    for job in client.reserve_iter():
        bodies.append(job.job_data)
        client.delete_job(job)
    assert bodies == [b"a", b"b", b"c"]


def test_reserve_iter_raises_what_is_not_the_end(client: BeanstalkClient) -> None:
    put(client, ttr=1)
    jobs = client.reserve_iter()
    assert next(jobs) == Job(1, b"a")
    with answering("DEADLINE_SOON"):
        next(jobs)


# What is done with a job.


def test_delete_job_takes_a_job_or_an_id_in_every_state(
    client: BeanstalkClient,
) -> None:
    put(client, b"reserved")
    client.delete_job(client.reserve_job(0))
    put(client, b"buried")
    buried = client.reserve_job(0)
    client.bury_job(buried)
    client.delete_job(buried)
    client.delete_job(put(client, b"ready"))
    client.delete_job(put(client, b"delayed", delay=60))
    assert client.stats_tube("default")["cmd-delete"] == 4


def test_delete_job_refuses_anothers_and_a_missing_job(
    client: BeanstalkClient, other: BeanstalkClient
) -> None:
    put(client)
    job = client.reserve_job(0)
    with answering("NOT_FOUND"):
        other.delete_job(job)
    client.delete_job(job.job_id)
    with answering("NOT_FOUND"):
        client.delete_job(job)


def test_release_job_makes_the_job_ready_with_pystalks_priority(
    client: BeanstalkClient,
) -> None:
    put(client, pri=7)
    job = client.reserve_job(0)
    assert client.release_job(job) == b"RELEASED"
    stats = client.stats_job(job)
    assert (stats["state"], stats["pri"], stats["releases"]) == ("ready", 65536, 1)


def test_release_job_with_a_priority_and_a_delay_keeps_both(
    server: Server, client: BeanstalkClient
) -> None:
    put(client)
    job_id = client.reserve_job(0).job_id
    assert client.release_job(job_id, pri=3, delay=20) == b"RELEASED"
    stats = client.stats_job(job_id)
    assert (stats["state"], stats["pri"], stats["delay"]) == ("delayed", 3, 20)
    server.advance(21)
    assert state_of(client, job_id) == "ready"


def test_bury_job_sets_the_job_aside(client: BeanstalkClient) -> None:
    put(client)
    put(client)
    first, second = client.reserve_job(0), client.reserve_job(0)
    assert client.bury_job(first) == b"BURIED"
    assert client.bury_job(second.job_id, pri=9) == b"BURIED"
    stats = client.stats_job(first)
    assert (stats["state"], stats["pri"], stats["buries"]) == ("buried", 65536, 1)
    assert client.stats_job(second)["pri"] == 9
    with answering("TIMED_OUT"):
        client.reserve_job(0)


def test_only_the_owner_may_release_and_bury(
    client: BeanstalkClient, other: BeanstalkClient
) -> None:
    job_id = put(client)
    for stranger in (client, other):
        for verb in (stranger.release_job, stranger.bury_job):
            with answering("NOT_FOUND"):
                verb(job_id)
    other.reserve_job(0)
    for verb in (client.release_job, client.bury_job):
        with answering("NOT_FOUND"):
            verb(job_id)


@pytest.mark.parametrize("number", [-1, U32_MAX + 1])
def test_numbers_outside_the_range_are_refused(
    client: BeanstalkClient, number: int
) -> None:
    put(client)
    job = client.reserve_job(0)
    calls: list[Callable[[], object]] = [
        lambda: client.release_job(job, pri=number),
        lambda: client.release_job(job, delay=number),
        lambda: client.bury_job(job, pri=number),
        lambda: client.pause_tube("default", number),
    ]
    for call in calls:
        with answering("BAD_FORMAT"):
            call()
    assert state_of(client, job) == "reserved"


# Time.


def test_a_job_whose_ttr_is_over_is_ready_for_anyone(
    server: Server, client: BeanstalkClient, other: BeanstalkClient
) -> None:
    put(client, pri=7, ttr=10)
    job = client.reserve_job(0)
    server.advance(11)
    assert other.reserve_job(0) == job
    for verb in (client.release_job, client.bury_job, client.delete_job):
        with answering("NOT_FOUND"):
            verb(job)
    stats = other.stats_job(job)
    assert (stats["pri"], stats["reserves"], stats["timeouts"]) == (7, 2, 1)


def test_a_delayed_job_arrives_when_its_delay_is_over(
    server: Server, client: BeanstalkClient
) -> None:
    job_id = put(client, delay=30)
    server.advance(29)
    with answering("TIMED_OUT"):
        client.reserve_job(0)
    server.advance(2)
    assert client.reserve_job(0).job_id == job_id


def test_a_paused_tube_gives_no_jobs_until_the_pause_ends(
    server: Server, client: BeanstalkClient
) -> None:
    put(client)
    assert client.pause_tube("default", 30) == b"PAUSED"
    with answering("TIMED_OUT"):
        client.reserve_job(0)
    assert client.stats_tube("default")["pause"] == 30
    server.advance(31)
    assert client.stats_tube("default")["pause"] == 0
    assert client.reserve_job(0).job_data == b"a"


def test_a_pause_is_an_hour_if_not_told_and_can_be_ended(
    server: Server, client: BeanstalkClient
) -> None:
    put(client)
    client.pause_tube("default")
    assert client.stats_tube("default")["pause"] == 3600
    assert client.unpause_tube("default") == b"PAUSED"
    # beanstalkd pauses for a nanosecond then, and its clock stands still.
    server.advance(0)
    assert client.reserve_job(0).job_data == b"a"


def test_an_unknown_tube_cannot_be_paused(client: BeanstalkClient) -> None:
    for call in (client.pause_tube, client.unpause_tube):
        with answering("NOT_FOUND"):
            call("nosuch")


# Looking and kicking.


def test_peek_by_state_looks_at_the_next_job_of_the_used_tube(
    client: BeanstalkClient,
) -> None:
    for body in (b"buried first", b"buried second"):
        put(client, body)
        client.bury_job(client.reserve_job(0))
    put(client, b"ready later", pri=9)
    put(client, b"ready next", pri=1)
    put(client, b"delayed longer", delay=90)
    put(client, b"delayed shorter", delay=30)
    assert client.peek_ready() == Job(4, b"ready next")
    assert client.peek_delayed() == Job(6, b"delayed shorter")
    assert client.peek_buried() == Job(1, b"buried first")
    client.use("empty")
    for peek in (client.peek_ready, client.peek_delayed, client.peek_buried):
        with answering("NOT_FOUND"):
            peek()


def test_the_peeking_iterators_end_when_there_is_no_more(
    client: BeanstalkClient,
) -> None:
    for body in (b"a", b"b"):
        put(client, body)
        client.bury_job(client.reserve_job(0))
        put(client, body, delay=60)
    put(client, b"a")
    put(client, b"b")
    for iterator in (
        client.peek_ready_iter(),
        client.peek_delayed_iter(),
        client.peek_buried_iter(),
    ):
        bodies = []
        for job in iterator:
            bodies.append(job.job_data)
            client.delete_job(job)
        assert bodies == [b"a", b"b"]


def test_kick_jobs_takes_buried_jobs_first_and_never_mixes(
    client: BeanstalkClient,
) -> None:
    for _ in range(3):
        put(client)
        client.bury_job(client.reserve_job(0))
    delayed = put(client, delay=60)
    assert client.kick_jobs(2) == (b"KICKED", 2)
    assert client.kick_jobs(10) == (b"KICKED", 1)
    assert state_of(client, delayed) == "delayed"
    assert client.kick_jobs(10) == (b"KICKED", 1)
    assert state_of(client, delayed) == "ready"
    assert client.kick_jobs(10) == (b"KICKED", 0)


def test_kick_job_takes_a_buried_or_a_delayed_job(client: BeanstalkClient) -> None:
    put(client)
    buried = client.reserve_job(0)
    client.bury_job(buried)
    delayed = put(client, delay=60)
    client.kick_job(buried)
    client.kick_job(delayed)
    assert [state_of(client, job) for job in (buried, delayed)] == ["ready", "ready"]
    for job_id in (delayed, 99):
        with answering("NOT_FOUND"):
            client.kick_job(job_id)


# Statistics.


def test_stats_job_tells_all_of_a_job(
    client: BeanstalkClient, stats_job_keys: list[str]
) -> None:
    client.use("orders")
    stats = client.stats_job(put(client, pri=7, delay=20, ttr=100))
    assert list(stats) == stats_job_keys
    assert stats.pop("time-left") in {19, 20}
    assert list(stats.values()) == [
        *(1, "orders", "delayed", 7, 0, 20, 100),
        *(0, 0, 0, 0, 0, 0),
    ]
    with answering("NOT_FOUND"):
        client.stats_job(99)


def test_stats_tube_tells_all_of_a_tube(
    client: BeanstalkClient, stats_tube_keys: list[str]
) -> None:
    client.use("orders")
    client.watch("orders")
    put(client)
    client.bury_job(client.reserve_job(0))
    put(client)
    client.reserve_job(0)
    put(client, pri=1023)
    put(client, delay=60)
    client.delete_job(put(client))
    stats = client.stats_tube("orders")
    assert list(stats) == stats_tube_keys
    assert list(stats.values()) == ["orders", 1, 1, 1, 1, 1, 5, 1, 1, 0, 1, 0, 0, 0]
    with answering("NOT_FOUND"):
        client.stats_tube("nosuch")


def test_stats_tells_all_of_the_server(
    client: BeanstalkClient, stats_keys: list[str], server: Server
) -> None:
    put(client)
    stats = client.stats()
    assert list(stats) == stats_keys
    assert stats["version"] == server.version
    assert stats["max-job-size"] == BIGGEST
    assert stats["draining"] is False
    assert (stats["cmd-put"], stats["cmd-stats"], stats["total-jobs"]) == (1, 1, 1)


# The pool that produces into several servers.


def test_a_pool_puts_into_the_tube_it_was_told(server: Server) -> None:
    host, port = server.address
    client = BeanstalkClient(host, port)
    pool = ProductionPool([client])
    assert pool.put_job(b"a", pri=3) == (b"INSERTED", 1)
    pool.use("orders")
    assert pool.put_job("b", delay=20) == (b"INSERTED", 2)
    # pystalk 0.9.1 forgets the ttr that it is given, and says 120.
    assert pool.put_job_into("emails", b"c", ttr=30) == (b"INSERTED", 3)
    stats = [client.stats_job(job_id) for job_id in (1, 2, 3)]
    assert [stat["tube"] for stat in stats] == ["default", "orders", "emails"]
    assert [stat["ttr"] for stat in stats] == [120, 120, 120]
    assert (stats[0]["pri"], stats[1]["delay"]) == (3, 20)
    client.close()


def test_a_pool_goes_past_a_server_that_is_not_there(
    server: Server, dead_address: tuple[str, int]
) -> None:
    live = BeanstalkClient(*server.address)
    pool = ProductionPool(
        [BeanstalkClient(*dead_address), live],
        backoff_time=NEVER,
        initial_shuffle=False,
    )
    assert [pool.put_job(b"a")[1], pool.put_job_into("orders", b"b")[1]] == [1, 2]
    live.close()


def test_a_pool_with_nobody_left_says_so(
    server: Server, dead_address: tuple[str, int]
) -> None:
    assert server.address != dead_address
    host, port = dead_address
    pool = ProductionPool.from_uris([f"beanstalkd://{host}:{port}"], backoff_time=NEVER)
    with pytest.raises(NoMoreClients, match="No clients can process requests"):
        pool.put_job(b"a")


def test_a_pool_raises_what_another_server_would_answer_too(server: Server) -> None:
    client = BeanstalkClient(*server.address)
    pool = ProductionPool([client])
    with answering("JOB_TOO_BIG"):
        pool.put_job(b"x" * (BIGGEST + 1))
    server.drain()
    with answering("DRAINING"):
        pool.put_job(b"a")
    client.close()


def test_an_empty_pool_is_refused() -> None:
    with pytest.raises(ValueError, match="at least one BeanstalkClient"):
        ProductionPool([])


# What only the fake can do: time that jumps, and outages.


def test_a_long_wait_ends_at_once(
    fake: FakeBeanstalkd, fake_client: BeanstalkClient
) -> None:
    begin = fake.clock.now()
    with answering("TIMED_OUT"):
        fake_client.reserve_job(30)
    assert fake.clock.now() == begin + 30
    with answering("TIMED_OUT"):
        fake_client.reserve_job()
    assert fake.clock.now() == begin + 35


def test_a_wait_within_the_sockets_timeout_is_answered(fake: FakeBeanstalkd) -> None:
    begin = fake.clock.now()
    client = BeanstalkClient(*fake.address, socket_timeout=31)
    with answering("TIMED_OUT"):
        client.reserve_job(30)
    assert fake.clock.now() == begin + 30
    client.close()


def test_a_wait_ends_with_the_delay_of_a_job(
    fake: FakeBeanstalkd, fake_client: BeanstalkClient
) -> None:
    begin = fake.clock.now()
    job_id = put(fake_client, delay=10)
    assert fake_client.reserve_job(30).job_id == job_id
    assert fake.clock.now() == begin + 10


def test_a_dropped_client_finds_out_and_connects_again_once_closed(
    fake: FakeBeanstalkd, fake_client: BeanstalkClient
) -> None:
    fake_client.use("orders")
    fake_client.watch("orders")
    put(fake_client)
    fake_client.reserve_job(0)
    fake.drop()
    with pytest.raises(
        BeanstalkConnectionError, match=r"Connection closed by beanstalkd$"
    ):
        put(fake_client)
    fake_client.close()
    # The same client, on a new connection with its old tubes; its job was given back.
    assert put(fake_client) == 2
    assert [job.job_id for job in fake_client.reserve_iter()] == [1, 2]
    assert fake_client.current_tube == "orders"


def test_a_client_dropped_while_it_waits_finds_out(
    fake: FakeBeanstalkd,
    fake_client: BeanstalkClient,
    in_thread: InThread,
    until: Until,
) -> None:
    looker = BeanstalkClient(*fake.address)
    answer = in_thread(lambda: fake_client.reserve_job(30))
    until(lambda: bool(looker.stats()["current-waiting"] == 1))
    fake.drop()
    with pytest.raises(BeanstalkConnectionError, match="Connection closed"):
        answer.result(timeout=10)
    looker.close()


def test_a_refusing_server_is_reached_again_when_restored(
    fake: FakeBeanstalkd, fake_client: BeanstalkClient
) -> None:
    fake.refuse()
    with pytest.raises(BeanstalkConnectionError) as error:
        fake_client.ping()
    assert isinstance(error.value.err, ConnectionRefusedError)
    with pytest.raises(BeanstalkConnectionError):
        put(fake_client)
    fake.restore()
    assert put(fake_client) == 1


def test_a_pool_takes_its_servers_in_turn(
    fake: FakeBeanstalkd, second_fake: FakeBeanstalkd
) -> None:
    clients = [BeanstalkClient(*server.address) for server in (fake, second_fake)]
    pool = ProductionPool(clients, initial_shuffle=False)
    for body in (b"a", b"b", b"c", b"d"):
        pool.put_job(body)
    bodies = [[job.job_data for job in client.reserve_iter()] for client in clients]
    assert bodies == [[b"a", b"c"], [b"b", b"d"]]
    for client in clients:
        client.close()


def test_a_pool_fails_over_from_a_dropped_server_and_comes_back(
    fake: FakeBeanstalkd, second_fake: FakeBeanstalkd
) -> None:
    clients = [BeanstalkClient(*server.address) for server in (fake, second_fake)]
    first, second = clients
    # Not in turn, so the pool changes servers only for a failure; a server that
    # failed may be tried again at once.
    pool = ProductionPool(
        clients, round_robin=False, backoff_time=0, initial_shuffle=False
    )
    pool.use("orders")
    pool.put_job(b"to the first")
    fake.refuse()
    fake.drop()
    pool.put_job(b"to the second")
    second_fake.refuse()
    second_fake.drop()
    with pytest.raises(NoMoreClients):
        pool.put_job(b"to nobody")
    fake.restore()
    pool.put_job(b"to the first again")
    second_fake.restore()
    for client, bodies in (
        (first, [b"to the first", b"to the first again"]),
        (second, [b"to the second"]),
    ):
        client.watch("orders")
        assert [job.job_data for job in client.reserve_iter()] == bodies
        client.close()
