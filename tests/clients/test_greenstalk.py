"""greenstalk 2.1.1, unmodified: every method, against the fake and a real server."""

from __future__ import annotations

import errno
import socket
from typing import TYPE_CHECKING

import greenstalk
import pytest

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from concurrent.futures import Future

    from inproc_tubes.fakes import FakeBeanstalkd
    from tests.clients.conftest import InThread, Server, Until

    Client = greenstalk.Client[str]
    Job = greenstalk.Job[str]

BIGGEST = 65535
U32_MAX = 2**32 - 1


@pytest.fixture
def client(server: Server) -> Iterator[Client]:
    with greenstalk.Client(server.address) as client:
        yield client


@pytest.fixture
def other(server: Server) -> Iterator[Client]:
    with greenstalk.Client(server.address) as other:
        yield other


def state_of(client: Client, job: Job | int) -> str:
    return client.stats_job(job)["state"]


# Connecting and closing.


def test_a_new_client_uses_and_watches_default(client: Client) -> None:
    assert client.using() == "default"
    assert client.watching() == ["default"]


@pytest.mark.parametrize(
    ("watch", "watching"),
    [
        ("orders", ["orders"]),
        ("default", ["default"]),
        # Ignoring "default" moves the last tube into its place.
        (["a", "b"], ["b", "a"]),
        (["a", "default"], ["default", "a"]),
    ],
)
def test_the_constructor_watches_exactly_what_it_is_told(
    server: Server, watch: str | list[str], watching: list[str]
) -> None:
    with greenstalk.Client(server.address, use="emails", watch=watch) as client:
        assert client.using() == "emails"
        assert client.watching() == watching


def test_a_client_takes_a_connected_socket(server: Server) -> None:
    connected = socket.create_connection(server.address)
    with greenstalk.Client(connected) as client:
        assert client.put("a") == 1
        assert repr(client) == (
            f"greenstalk.Client(host={server.address[0]!r}, port={server.address[1]})"
        )


def test_a_client_that_would_watch_nothing_is_refused(server: Server) -> None:
    # Made in two steps: a constructor that fails leaves its socket open.
    client: Client = greenstalk.Client.__new__(greenstalk.Client)
    with pytest.raises(greenstalk.NotIgnoredError):
        client.__init__(server.address, watch=[])  # type: ignore[misc] # see above
    client.close()


def test_a_client_speaks_over_a_unix_socket(unix_path: str) -> None:
    with (
        greenstalk.Client(unix_path, use="orders") as producer,
        greenstalk.Client(unix_path, watch="orders") as consumer,
    ):
        assert repr(producer) == f"greenstalk.Client(socket={unix_path!r})"
        job_id = producer.put("over a path")
        job = consumer.reserve(timeout=0)
        assert (job.id, job.body) == (job_id, "over a path")
        consumer.delete(job)
        with pytest.raises(greenstalk.TimedOutError):
            consumer.reserve(timeout=0)


def test_a_closed_client_can_be_closed_again_but_not_used(server: Server) -> None:
    with greenstalk.Client(server.address) as client:
        client.close()
        client.close()
    with pytest.raises(OSError, match="Bad file descriptor") as error:
        client.put("a")
    assert error.value.errno == errno.EBADF


def test_closing_a_client_gives_its_jobs_back(
    server: Server, client: Client, until: Until
) -> None:
    with greenstalk.Client(server.address) as leaver:
        job_id = leaver.put("a", priority=7)
        leaver.reserve(timeout=0)
    until(lambda: state_of(client, job_id) == "ready")
    stats = client.stats_job(job_id)
    assert (stats["pri"], stats["reserves"]) == (7, 1)
    assert (stats["timeouts"], stats["releases"]) == (0, 0)


# Putting.


def test_put_returns_ids_counting_from_one(client: Client) -> None:
    assert [client.put("a"), client.put("b")] == [1, 2]


def test_put_defaults_are_greenstalks(client: Client) -> None:
    stats = client.stats_job(client.put("a"))
    assert (stats["pri"], stats["delay"], stats["ttr"]) == (65536, 0, 60)
    assert (stats["tube"], stats["state"]) == ("default", "ready")


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
    client: Client, numbers: tuple[int, int, int], stored: tuple[int, int, int]
) -> None:
    stats = client.stats_job(client.put("a", *numbers))
    assert (stats["pri"], stats["delay"], stats["ttr"]) == stored


@pytest.mark.parametrize(
    "numbers",
    [(-1, 0, 60), (U32_MAX + 1, 0, 60), (0, -1, 60), (0, U32_MAX + 1, 60), (0, 0, -1)],
)
def test_put_outside_the_range_is_refused_and_its_body_read_as_a_command(
    client: Client, numbers: tuple[int, int, int]
) -> None:
    with pytest.raises(greenstalk.BadFormatError):
        client.put("a", *numbers)
    with pytest.raises(greenstalk.UnknownCommandError):
        client.using()


def test_the_biggest_body_comes_back_whole(client: Client) -> None:
    client.put("x" * BIGGEST)
    assert client.reserve(timeout=0).body == "x" * BIGGEST


def test_a_body_too_big_is_swallowed_and_takes_no_id(client: Client) -> None:
    with pytest.raises(greenstalk.JobTooBigError):
        client.put("x" * (BIGGEST + 1))
    assert client.put("a") == 1


def test_a_draining_server_takes_no_jobs_but_gives_them(
    server: Server, client: Client
) -> None:
    client.put("a")
    server.drain()
    with pytest.raises(greenstalk.DrainingError):
        client.put("b")
    assert client.stats()["draining"] == "true"
    client.release(client.reserve(timeout=0))
    client.delete(client.reserve(timeout=0))


@pytest.mark.parametrize(
    "body",
    ["", " ", "  spaced  ", "a\r\nb\r\n", "\r\n", "é ☃ 𝄞", "DELETED\r\nquit\r\n", "\0"],
)
def test_text_comes_back_as_it_was(client: Client, body: str) -> None:
    job_id = client.put(body)
    assert client.peek(job_id).body == body
    assert client.reserve(timeout=0).body == body


def test_without_an_encoding_bodies_are_bytes(server: Server) -> None:
    body = bytes(range(256))
    with greenstalk.Client(server.address, encoding=None) as client:
        job_id = client.put(body)
        assert client.peek_ready().body == body
        job = client.reserve(timeout=0)
        assert (job.id, job.body) == (job_id, body)
        with pytest.raises(TypeError, match="no encoding set"):
            client.put("text")  # type: ignore[arg-type] # the refusal is the test


def test_another_encoding_is_on_the_wire(server: Server) -> None:
    with (
        greenstalk.Client(server.address, encoding="latin-1") as latin,
        greenstalk.Client(server.address, encoding=None) as raw,
    ):
        job_id = latin.put("é")
        assert raw.peek(job_id).body == b"\xe9"
        assert latin.peek(job_id).body == "é"


def test_a_body_that_cannot_be_decoded_stays_reserved(
    server: Server, client: Client
) -> None:
    with greenstalk.Client(server.address, encoding=None) as raw:
        job_id = raw.put(b"\xff")
    with pytest.raises(UnicodeDecodeError):
        client.reserve(timeout=0)
    assert state_of(client, job_id) == "reserved"
    client.delete(job_id)


def test_a_body_that_cannot_be_encoded_is_not_sent(server: Server) -> None:
    with greenstalk.Client(server.address, encoding="ascii") as client:
        with pytest.raises(UnicodeEncodeError):
            client.put("é")
        assert client.stats()["cmd-put"] == 0


# Using and listing tubes.


def test_use_directs_puts_and_creates_the_tube(client: Client) -> None:
    client.use("orders")
    assert client.using() == "orders"
    assert client.stats_job(client.put("a"))["tube"] == "orders"
    assert client.tubes() == ["default", "orders"]


def test_a_tube_ends_with_its_last_reference(client: Client) -> None:
    client.use("orders")
    job_id = client.put("a")
    client.use("default")
    assert client.tubes() == ["default", "orders"]
    client.delete(job_id)
    assert client.tubes() == ["default"]


@pytest.mark.parametrize("tube", ["x" * 200, "0", "A+/;.$_()9", "a-b"])
def test_a_good_name_is_taken_everywhere(client: Client, tube: str) -> None:
    client.use(tube)
    assert client.using() == tube
    assert client.watch(tube) == 2
    assert client.watching() == ["default", tube]
    client.pause_tube(tube, 1)
    assert client.ignore(tube) == 1


@pytest.mark.parametrize("tube", ["", "-a", "a:b", "a b", "a*", "x" * 201, "x" * 300])
def test_a_bad_name_is_refused_and_the_connection_goes_on(
    client: Client, tube: str
) -> None:
    calls: list[Callable[[], object]] = [
        lambda: client.use(tube),
        lambda: client.watch(tube),
        lambda: client.ignore(tube),
        lambda: client.stats_tube(tube),
        lambda: client.pause_tube(tube, 1),
    ]
    for call in calls:
        with pytest.raises(greenstalk.BadFormatError):
            call()
    assert client.tubes() == ["default"]


def test_a_name_outside_ascii_is_not_sent(client: Client) -> None:
    with pytest.raises(UnicodeEncodeError):
        client.use("ü")
    assert client.using() == "default"


def test_watch_and_ignore_count_the_watched_tubes(client: Client) -> None:
    assert client.watch("a") == 2
    assert client.watch("a") == 2
    assert client.watch("b") == 3
    assert client.watching() == ["default", "a", "b"]
    assert client.ignore("default") == 2
    assert client.watching() == ["b", "a"]
    assert client.ignore("a") == 1
    assert client.ignore("not-watched") == 1
    with pytest.raises(greenstalk.NotIgnoredError):
        client.ignore("b")
    assert client.watching() == ["b"]


# Reserving.


def test_reserve_prefers_the_lowest_priority_then_the_lowest_id(
    client: Client, other: Client
) -> None:
    client.watch("orders")
    other.put("second", priority=5)
    other.put("third", priority=5)
    other.use("orders")
    other.put("first", priority=1)
    bodies = [client.reserve(timeout=0).body for _ in range(3)]
    assert bodies == ["first", "second", "third"]


def test_reserve_without_a_timeout_answers_at_once_when_a_job_is_ready(
    client: Client,
) -> None:
    client.put("a")
    job = client.reserve()
    assert repr(job) == "greenstalk.Job(id=1, body='a')"
    assert state_of(client, job) == "reserved"


@pytest.mark.parametrize("timeout", [0, 0.5])
def test_reserve_with_no_time_left_is_timed_out(client: Client, timeout: float) -> None:
    with pytest.raises(greenstalk.TimedOutError):
        # A fraction is cut off: half a second is none.
        client.reserve(timeout=timeout)  # type: ignore[arg-type] # see above


def test_reserve_takes_only_from_watched_tubes(client: Client) -> None:
    client.use("orders")
    client.put("a")
    with pytest.raises(greenstalk.TimedOutError):
        client.reserve(timeout=0)
    client.watch("orders")
    assert client.reserve(timeout=0).body == "a"


def test_a_waiting_client_is_given_the_next_job(
    client: Client, other: Client, in_thread: InThread, until: Until
) -> None:
    answer = in_thread(client.reserve)
    until(lambda: other.stats()["current-waiting"] == 1)
    job_id = other.put("a")
    assert state_of(other, job_id) == "reserved"
    job = answer.result(timeout=10)
    assert (job.id, job.body) == (job_id, "a")


def test_reserve_in_the_last_second_of_a_job_is_told_so(
    server: Server, client: Client
) -> None:
    client.put("a", ttr=10)
    job = client.reserve(timeout=0)
    server.advance(8.5)
    with pytest.raises(greenstalk.TimedOutError):
        client.reserve(timeout=0)
    server.advance(1)
    with pytest.raises(greenstalk.DeadlineSoonError):
        client.reserve(timeout=0)
    with pytest.raises(greenstalk.DeadlineSoonError):
        client.reserve()
    assert state_of(client, job) == "reserved"
    client.touch(job)
    with pytest.raises(greenstalk.TimedOutError):
        client.reserve(timeout=0)


def test_a_ready_job_goes_before_deadline_soon(client: Client) -> None:
    client.put("a", ttr=1)
    client.put("b")
    client.reserve(timeout=0)
    assert client.reserve(timeout=0).body == "b"


def test_reserve_job_takes_ready_delayed_and_buried_jobs_of_any_tube(
    client: Client, other: Client
) -> None:
    other.use("orders")
    other.watch("orders")
    buried = other.put("buried")
    other.bury(other.reserve(timeout=0))
    ready = other.put("ready")
    delayed = other.put("delayed", delay=60)
    for job_id, body in ((buried, "buried"), (ready, "ready"), (delayed, "delayed")):
        job = client.reserve_job(job_id)
        assert (job.id, job.body) == (job_id, body)
        assert state_of(client, job) == "reserved"


def test_reserve_job_refuses_a_reserved_and_a_missing_job(
    client: Client, other: Client
) -> None:
    job_id = client.put("a")
    client.reserve_job(job_id)
    for refused in (client, other):
        with pytest.raises(greenstalk.NotFoundError):
            refused.reserve_job(job_id)
    with pytest.raises(greenstalk.NotFoundError):
        client.reserve_job(99)


# What is done with a job.


def test_delete_takes_a_job_or_an_id_in_every_state(client: Client) -> None:
    client.put("reserved")
    client.delete(client.reserve(timeout=0))
    client.put("buried")
    job = client.reserve(timeout=0)
    client.bury(job)
    client.delete(job)
    client.delete(client.put("ready"))
    client.delete(client.put("delayed", delay=60))
    assert client.stats_tube("default")["cmd-delete"] == 4
    assert client.stats()["total-jobs"] == 4


def test_delete_refuses_anothers_and_a_missing_job(
    client: Client, other: Client
) -> None:
    client.put("a")
    job = client.reserve(timeout=0)
    with pytest.raises(greenstalk.NotFoundError):
        other.delete(job)
    client.delete(job)
    with pytest.raises(greenstalk.NotFoundError):
        client.delete(job)


def test_release_makes_the_job_ready_with_greenstalks_priority(client: Client) -> None:
    client.put("a", priority=7)
    job = client.reserve(timeout=0)
    client.release(job)
    stats = client.stats_job(job)
    assert (stats["state"], stats["pri"], stats["releases"]) == ("ready", 65536, 1)


def test_release_with_a_priority_and_a_delay_keeps_both(
    server: Server, client: Client
) -> None:
    client.put("a")
    job = client.reserve(timeout=0)
    client.release(job, priority=3, delay=20)
    stats = client.stats_job(job)
    assert (stats["state"], stats["pri"], stats["delay"]) == ("delayed", 3, 20)
    server.advance(19)
    assert state_of(client, job) == "delayed"
    server.advance(2)
    assert state_of(client, job) == "ready"


def test_bury_sets_the_job_aside(client: Client) -> None:
    client.put("a", priority=7)
    client.put("b")
    first, second = client.reserve(timeout=0), client.reserve(timeout=0)
    client.bury(first)
    client.bury(second, priority=9)
    stats = client.stats_job(first)
    assert (stats["state"], stats["pri"], stats["buries"]) == ("buried", 65536, 1)
    assert client.stats_job(second)["pri"] == 9
    with pytest.raises(greenstalk.TimedOutError):
        client.reserve(timeout=0)


def test_touch_starts_the_ttr_anew(server: Server, client: Client) -> None:
    client.put("a", ttr=10)
    job = client.reserve(timeout=0)
    server.advance(7)
    client.touch(job)
    server.advance(7)
    stats = client.stats_job(job)
    assert (stats["state"], stats["timeouts"]) == ("reserved", 0)


def test_only_the_owner_may_release_bury_and_touch(
    client: Client, other: Client
) -> None:
    job = greenstalk.Job(client.put("a"), "a")
    for stranger in (client, other):
        for verb in (stranger.release, stranger.bury, stranger.touch):
            with pytest.raises(greenstalk.NotFoundError):
                verb(job)
        client.reserve_job(job.id) if stranger is client else None
    client.touch(job)


def test_release_bury_and_touch_take_no_plain_id(client: Client) -> None:
    client.put("a")
    job_id = client.reserve(timeout=0).id
    for verb in (client.release, client.bury, client.touch):
        with pytest.raises(AttributeError):
            verb(job_id)  # type: ignore[arg-type] # the refusal is the test


# Time.


def test_a_job_whose_ttr_is_over_is_ready_for_anyone(
    server: Server, client: Client, other: Client
) -> None:
    client.put("a", priority=7, ttr=10)
    job = client.reserve(timeout=0)
    server.advance(11)
    again = other.reserve(timeout=0)
    assert again.id == job.id
    for verb in (client.touch, client.release, client.bury, client.delete):
        with pytest.raises(greenstalk.NotFoundError):
            verb(job)
    stats = other.stats_job(again)
    assert (stats["pri"], stats["reserves"], stats["timeouts"]) == (7, 2, 1)
    assert other.stats()["job-timeouts"] == 1


def test_the_old_owner_may_delete_an_expired_job_that_nobody_took(
    server: Server, client: Client
) -> None:
    client.put("a", ttr=1)
    job = client.reserve(timeout=0)
    server.advance(2)
    client.delete(job)


def test_a_delayed_job_arrives_when_its_delay_is_over(
    server: Server, client: Client
) -> None:
    job_id = client.put("a", delay=30)
    with pytest.raises(greenstalk.TimedOutError):
        client.reserve(timeout=0)
    server.advance(29)
    assert state_of(client, job_id) == "delayed"
    server.advance(2)
    assert client.reserve(timeout=0).id == job_id
    stats = client.stats_job(job_id)
    assert (stats["delay"], stats["age"]) == (30, 31)


def test_a_waiting_client_is_answered_when_time_has_come(
    server: Server,
    client: Client,
    other: Client,
    in_thread: InThread,
    until: Until,
) -> None:
    def waiting(seconds: float) -> Future[Job]:
        answer = in_thread(lambda: client.reserve(timeout=30))
        until(lambda: other.stats()["current-waiting"] == 1)
        server.advance(seconds)
        return answer

    with pytest.raises(greenstalk.TimedOutError):
        waiting(30.5).result(timeout=10)
    other.put("delayed", delay=20, ttr=60)
    assert waiting(20.5).result(timeout=10).body == "delayed"
    other.put("the other's", ttr=15)
    other.reserve(timeout=0)
    expired = waiting(15.5).result(timeout=10)
    assert expired.body == "the other's"
    client.delete(expired)
    # Of the 60 seconds that "delayed" may take, 44.5 are left; wait on from there.
    server.advance(20)
    with pytest.raises(greenstalk.DeadlineSoonError):
        waiting(24).result(timeout=10)


def test_a_paused_tube_gives_no_jobs_until_the_pause_ends(
    server: Server, client: Client
) -> None:
    client.put("a")
    client.pause_tube("default", 30)
    with pytest.raises(greenstalk.TimedOutError):
        client.reserve(timeout=0)
    stats = client.stats_tube("default")
    assert (stats["pause"], stats["cmd-pause-tube"]) == (30, 1)
    assert stats["pause-time-left"] in {29, 30}
    assert client.peek_ready().body == "a"
    server.advance(31)
    stats = client.stats_tube("default")
    assert (stats["pause"], stats["pause-time-left"]) == (0, 0)
    assert client.reserve(timeout=0).body == "a"


def test_a_pause_of_zero_ends_the_pause(server: Server, client: Client) -> None:
    client.put("a")
    client.pause_tube("default", 1000)
    client.pause_tube("default", 0)
    # beanstalkd pauses for a nanosecond then, and its clock stands still.
    server.advance(0)
    assert client.reserve(timeout=0).body == "a"


def test_an_unknown_tube_cannot_be_paused(client: Client) -> None:
    with pytest.raises(greenstalk.NotFoundError):
        client.pause_tube("nosuch", 1)
    assert client.tubes() == ["default"]


@pytest.mark.parametrize("delay", [-1, U32_MAX + 1])
def test_a_pause_outside_the_range_is_refused(client: Client, delay: int) -> None:
    with pytest.raises(greenstalk.BadFormatError):
        client.pause_tube("default", delay)


# Looking and kicking.


def test_peek_looks_at_any_job(client: Client, other: Client) -> None:
    other.use("orders")
    job_id = other.put("a")
    job = client.peek(job_id)
    assert (job.id, job.body) == (job_id, "a")
    other.reserve_job(job_id)
    assert client.peek(job_id).id == job_id
    with pytest.raises(greenstalk.NotFoundError):
        client.peek(99)


def test_peek_by_state_looks_at_the_next_job_of_the_used_tube(client: Client) -> None:
    for body in ("buried first", "buried second"):
        client.put(body)
        client.bury(client.reserve(timeout=0))
    client.put("ready later", priority=9)
    client.put("ready next", priority=1)
    client.put("delayed longer", delay=90)
    client.put("delayed shorter", delay=30)
    assert client.peek_ready().body == "ready next"
    assert client.peek_delayed().body == "delayed shorter"
    assert client.peek_buried().body == "buried first"
    client.use("empty")
    for peek in (client.peek_ready, client.peek_delayed, client.peek_buried):
        with pytest.raises(greenstalk.NotFoundError):
            peek()


def test_kick_takes_buried_jobs_first_and_never_mixes(client: Client) -> None:
    for _ in range(3):
        client.put("buried")
        client.bury(client.reserve(timeout=0))
    delayed = client.put("delayed", delay=60)
    assert client.kick(2) == 2
    assert client.kick(10) == 1
    assert state_of(client, delayed) == "delayed"
    assert client.kick(10) == 1
    stats = client.stats_job(delayed)
    assert (stats["state"], stats["kicks"]) == ("ready", 1)
    assert client.kick(10) == 0


def test_kick_job_takes_a_buried_or_a_delayed_job(client: Client) -> None:
    client.put("buried")
    buried = client.reserve(timeout=0)
    client.bury(buried)
    delayed = client.put("delayed", delay=60)
    client.kick_job(buried)
    client.kick_job(delayed)
    assert [state_of(client, job) for job in (buried, delayed)] == ["ready", "ready"]


def test_kick_job_refuses_a_ready_a_reserved_and_a_missing_job(client: Client) -> None:
    client.put("reserved")
    reserved = client.reserve(timeout=0).id
    for job_id in (reserved, client.put("ready"), 99):
        with pytest.raises(greenstalk.NotFoundError):
            client.kick_job(job_id)


# Statistics.


def test_stats_job_tells_all_of_a_job(
    client: Client, stats_job_keys: list[str]
) -> None:
    client.use("orders")
    client.watch("orders")
    client.put("a", priority=7, ttr=100)
    stats = client.stats_job(client.reserve(timeout=0))
    assert list(stats) == stats_job_keys
    # A second begun is a second gone: the server's clock may run, or stand still.
    assert stats.pop("time-left") in {99, 100}  # type: ignore[misc] # tell the rest
    assert stats == {
        "id": 1,
        "tube": "orders",
        "state": "reserved",
        "pri": 7,
        "age": 0,
        "delay": 0,
        "ttr": 100,
        "file": 0,
        "reserves": 1,
        "timeouts": 0,
        "releases": 0,
        "buries": 0,
        "kicks": 0,
    }
    with pytest.raises(greenstalk.NotFoundError):
        client.stats_job(99)


def test_stats_tube_tells_all_of_a_tube(
    client: Client, stats_tube_keys: list[str]
) -> None:
    client.use("orders")
    client.watch("orders")
    for _ in range(2):
        client.put("a")
        client.reserve(timeout=0)
    client.put("urgent", priority=1023)
    client.put("ready", priority=1024)
    client.put("delayed", delay=60)
    client.delete(client.put("gone"))
    stats = client.stats_tube("orders")
    assert list(stats) == stats_tube_keys
    assert stats == {
        "name": "orders",
        "current-jobs-urgent": 1,
        "current-jobs-ready": 2,
        "current-jobs-reserved": 2,
        "current-jobs-delayed": 1,
        "current-jobs-buried": 0,
        "total-jobs": 6,
        "current-using": 1,
        "current-watching": 1,
        "current-waiting": 0,
        "cmd-delete": 1,
        "cmd-pause-tube": 0,
        "pause": 0,
        "pause-time-left": 0,
    }
    with pytest.raises(greenstalk.NotFoundError):
        client.stats_tube("nosuch")


def test_stats_tells_all_of_the_server(
    client: Client, stats_keys: list[str], server: Server
) -> None:
    stats = client.stats()
    assert list(stats) == stats_keys
    assert stats["version"] == server.version
    assert stats["max-job-size"] == BIGGEST
    assert stats["draining"] == "false"
    assert stats["cmd-stats"] == 1


def test_stats_counts_the_commands(client: Client) -> None:
    before = client.stats()
    client.use("orders")
    client.watch("orders")
    client.put("a")
    job = client.reserve(timeout=0)
    client.peek(job.id)
    client.touch(job)
    client.release(job)
    job = client.reserve()
    client.bury(job)
    client.peek_buried()
    client.kick(1)
    client.peek_ready()
    with pytest.raises(greenstalk.NotFoundError):
        client.peek_delayed()
    client.stats_job(job)
    client.stats_tube("orders")
    client.tubes()
    client.watching()
    client.using()
    client.pause_tube("orders", 0)
    client.ignore("orders")
    client.delete(job)
    after = client.stats()
    moved = {
        key
        for key in after
        if key.startswith("cmd-") and after[key] - before[key] == 1  # type: ignore[literal-required] # any key
    }
    assert moved == {key for key in after if key.startswith("cmd-")}
    assert after["total-jobs"] == 1


# What only the fake can do: time that jumps, and outages.


def test_a_long_wait_ends_at_once(fake: FakeBeanstalkd) -> None:
    begin = fake.clock.now()
    with (
        greenstalk.Client(fake.address) as client,
        pytest.raises(greenstalk.TimedOutError),
    ):
        client.reserve(timeout=30)
    assert fake.clock.now() == begin + 30


def test_a_wait_ends_with_the_delay_of_a_job(fake: FakeBeanstalkd) -> None:
    begin = fake.clock.now()
    with greenstalk.Client(fake.address) as client:
        job_id = client.put("a", delay=10)
        assert client.reserve(timeout=30).id == job_id
        assert fake.clock.now() == begin + 10


def test_a_wait_ends_with_a_pause(fake: FakeBeanstalkd) -> None:
    begin = fake.clock.now()
    with greenstalk.Client(fake.address) as client:
        client.put("a")
        client.pause_tube("default", 20)
        assert client.reserve().body == "a"
        assert fake.clock.now() == begin + 20


def test_a_wait_ends_a_second_before_the_clients_own_ttr(fake: FakeBeanstalkd) -> None:
    begin = fake.clock.now()
    with greenstalk.Client(fake.address) as client:
        client.put("a", ttr=10)
        client.reserve()
        with pytest.raises(greenstalk.DeadlineSoonError):
            client.reserve(timeout=30)
        assert fake.clock.now() == begin + 9


def test_a_wait_ends_with_anothers_ttr(fake: FakeBeanstalkd) -> None:
    begin = fake.clock.now()
    with (
        greenstalk.Client(fake.address) as client,
        greenstalk.Client(fake.address) as other,
    ):
        job_id = other.put("a", ttr=10)
        other.reserve()
        assert client.reserve(timeout=30).id == job_id
        assert fake.clock.now() == begin + 10


def test_a_refusing_server_takes_no_new_connections(fake: FakeBeanstalkd) -> None:
    with greenstalk.Client(fake.address) as client:
        fake.refuse()
        with pytest.raises(ConnectionRefusedError):
            greenstalk.Client(fake.address)
        assert client.put("a") == 1
        fake.restore()
        with greenstalk.Client(fake.address) as late:
            assert late.peek(1).body == "a"


def test_a_dropped_client_finds_out_and_its_jobs_are_given_back(
    fake: FakeBeanstalkd,
) -> None:
    with greenstalk.Client(fake.address) as client:
        client.put("a")
        client.reserve()
        fake.drop()
        with pytest.raises(ConnectionError, match=r"^Unexpected EOF$"):
            client.put("b")
    with greenstalk.Client(fake.address) as client:
        assert client.reserve(timeout=0).body == "a"


def test_a_client_dropped_while_it_waits_reads_the_end(
    fake: FakeBeanstalkd, in_thread: InThread, until: Until
) -> None:
    with (
        greenstalk.Client(fake.address) as client,
        greenstalk.Client(fake.address) as looker,
    ):
        answer = in_thread(client.reserve)
        until(lambda: looker.stats()["current-waiting"] == 1)
        fake.drop()
        with pytest.raises(ConnectionError, match=r"^Unexpected EOF$"):
            answer.result(timeout=10)


def test_a_full_tube_is_a_server_out_of_memory(fake: FakeBeanstalkd) -> None:
    fake.broker.limit_tube("default", 1)
    with greenstalk.Client(fake.address) as client:
        client.put("first")
        with pytest.raises(greenstalk.OutOfMemoryError):
            client.put("second")
        client.delete(client.reserve(timeout=0))
        assert client.put("third") == 3
