"""aiostalk 1.3.1, unmodified: every method, against the fake and a real server."""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING, Any

import aiostalk
import greenstalk
import pytest

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable, Coroutine, Iterator

    from inproc_tubes.fakes import FakeBeanstalkd
    from tests.clients.conftest import Server, Until

    Run = Callable[[Awaitable[Any]], Any]
    Start = Callable[[Coroutine[Any, Any, Any]], asyncio.Task[Any]]

BIGGEST = 65535
U32_MAX = 2**32 - 1


@pytest.fixture
def runner() -> Iterator[asyncio.Runner]:
    with asyncio.Runner() as runner:
        yield runner


@pytest.fixture
def run(runner: asyncio.Runner) -> Run:
    """Return a function that runs the loop until this is done, and returns it."""

    async def finish(awaitable: Awaitable[Any]) -> Any:
        return await awaitable

    return lambda awaitable: runner.run(finish(awaitable))


@pytest.fixture
def start(runner: asyncio.Runner) -> Start:
    """Return a function that starts this; it goes on whenever the loop runs."""
    return runner.get_loop().create_task


@pytest.fixture
def client(server: Server, run: Run) -> Iterator[aiostalk.Client]:
    client = aiostalk.Client(server.address)
    run(client.connect())
    yield client
    run(client.close())


@pytest.fixture
def other(server: Server, run: Run) -> Iterator[aiostalk.Client]:
    other = aiostalk.Client(server.address)
    run(other.connect())
    yield other
    run(other.close())


@pytest.fixture
def fake_client(fake: FakeBeanstalkd, run: Run) -> Iterator[aiostalk.Client]:
    fake_client = aiostalk.Client(fake.address)
    run(fake_client.connect())
    yield fake_client
    run(fake_client.close())


@pytest.fixture
def fake_looker(fake: FakeBeanstalkd, run: Run) -> Iterator[aiostalk.Client]:
    fake_looker = aiostalk.Client(fake.address)
    run(fake_looker.connect())
    yield fake_looker
    run(fake_looker.close())


# Connecting and closing.


def test_the_names_are_greenstalks_own() -> None:
    assert aiostalk.Job is greenstalk.Job
    assert aiostalk.BeanstalkdError is greenstalk.BeanstalkdError


def test_a_client_connects_when_entered_and_closes_when_left(
    server: Server, run: Run
) -> None:
    async def enter_and_leave() -> None:
        async with aiostalk.Client(server.address) as client:
            assert await client.using() == "default"
            assert await client.watching() == ["default"]
        with pytest.raises(ConnectionError, match=r"^Unexpected EOF$"):
            await client.using()
        await client.close()

    run(enter_and_leave())


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
def test_connecting_watches_exactly_what_the_client_was_told(
    server: Server, run: Run, watch: str | list[str], watching: list[str]
) -> None:
    async def connect() -> None:
        async with aiostalk.Client(server.address, use="mail", watch=watch) as client:
            assert await client.using() == "mail"
            assert await client.watching() == watching

    run(connect())


def test_a_client_that_would_watch_nothing_is_refused(server: Server, run: Run) -> None:
    client = aiostalk.Client(server.address, watch=[])
    with pytest.raises(aiostalk.NotIgnoredError):
        run(client.connect())
    run(client.close())


def test_where_nobody_listens_connecting_fails(
    server: Server, run: Run, dead_address: tuple[str, int]
) -> None:
    assert server.address != dead_address
    with pytest.raises(ConnectionRefusedError):
        run(aiostalk.Client(dead_address).connect())


def test_closing_a_client_gives_its_jobs_back(
    server: Server, run: Run, client: aiostalk.Client, until: Until
) -> None:
    async def reserve_and_leave() -> int:
        async with aiostalk.Client(server.address) as leaver:
            await leaver.put("a")
            job_id: int = (await leaver.reserve(timeout=0)).id
            return job_id

    job_id = run(reserve_and_leave())
    until(lambda: bool(run(client.stats_job(job_id))["state"] == "ready"))
    assert run(client.stats_job(job_id))["releases"] == 0


# Putting.


def test_put_returns_ids_counting_from_one(run: Run, client: aiostalk.Client) -> None:
    assert [run(client.put("a")), run(client.put("b"))] == [1, 2]


def test_put_defaults_are_greenstalks(run: Run, client: aiostalk.Client) -> None:
    stats = run(client.stats_job(run(client.put("a"))))
    assert (stats["pri"], stats["delay"], stats["ttr"]) == (65536, 0, 60)


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
    run: Run,
    client: aiostalk.Client,
    numbers: tuple[int, int, int],
    stored: tuple[int, int, int],
) -> None:
    stats = run(client.stats_job(run(client.put("a", *numbers))))
    assert (stats["pri"], stats["delay"], stats["ttr"]) == stored


@pytest.mark.parametrize(
    "numbers", [(-1, 0, 60), (U32_MAX + 1, 0, 60), (0, -1, 60), (0, 0, U32_MAX + 1)]
)
def test_put_outside_the_range_is_refused_and_its_body_read_as_a_command(
    run: Run, client: aiostalk.Client, numbers: tuple[int, int, int]
) -> None:
    with pytest.raises(aiostalk.BadFormatError):
        run(client.put("a", *numbers))
    with pytest.raises(aiostalk.UnknownCommandError):
        run(client.using())


def test_the_biggest_body_comes_back_whole(run: Run, client: aiostalk.Client) -> None:
    run(client.put("x" * BIGGEST))
    assert run(client.reserve(timeout=0)).body == "x" * BIGGEST


def test_a_body_too_big_is_swallowed_and_takes_no_id(
    run: Run, client: aiostalk.Client
) -> None:
    with pytest.raises(aiostalk.JobTooBigError):
        run(client.put("x" * (BIGGEST + 1)))
    assert run(client.put("a")) == 1


def test_a_draining_server_takes_no_jobs_but_gives_them(
    server: Server, run: Run, client: aiostalk.Client
) -> None:
    run(client.put("a"))
    server.drain()
    with pytest.raises(aiostalk.DrainingError):
        run(client.put("b"))
    assert run(client.stats())["draining"] == "true"
    run(client.release(run(client.reserve(timeout=0))))
    run(client.delete(run(client.reserve(timeout=0))))


@pytest.mark.parametrize(
    "body",
    ["", " ", "  spaced  ", "a\r\nb\r\n", "\r\n", "é ☃ 𝄞", "DELETED\r\nquit\r\n", "\0"],
)
def test_text_comes_back_as_it_was(
    run: Run, client: aiostalk.Client, body: str
) -> None:
    job_id = run(client.put(body))
    assert run(client.peek(job_id)).body == body
    assert run(client.reserve(timeout=0)).body == body


def test_without_an_encoding_bodies_are_bytes(server: Server, run: Run) -> None:
    body = bytes(range(256))

    async def put_and_reserve() -> None:
        async with aiostalk.Client(server.address, encoding=None) as client:
            job_id = await client.put(body)
            assert (await client.peek_ready()).body == body
            job = await client.reserve(timeout=0)
            assert (job.id, job.body) == (job_id, body)
            with pytest.raises(TypeError, match="no encoding set"):
                await client.put("text")

    run(put_and_reserve())


def test_a_body_that_cannot_be_decoded_stays_reserved(
    run: Run, client: aiostalk.Client
) -> None:
    job_id = run(client.put(b"\xff"))
    with pytest.raises(UnicodeDecodeError):
        run(client.reserve(timeout=0))
    assert run(client.stats_job(job_id))["state"] == "reserved"


# Using and watching tubes.


def test_use_directs_puts_and_creates_the_tube(
    run: Run, client: aiostalk.Client
) -> None:
    run(client.use("orders"))
    assert run(client.using()) == "orders"
    assert run(client.stats_job(run(client.put("a"))))["tube"] == "orders"
    assert run(client.tubes()) == ["default", "orders"]


def test_watch_and_ignore_count_the_watched_tubes(
    run: Run, client: aiostalk.Client
) -> None:
    assert [run(client.watch(tube)) for tube in ("a", "a", "b")] == [2, 2, 3]
    assert run(client.ignore("default")) == 2
    assert run(client.watching()) == ["b", "a"]
    assert run(client.ignore("a")) == 1
    assert run(client.ignore("not-watched")) == 1
    with pytest.raises(aiostalk.NotIgnoredError):
        run(client.ignore("b"))


@pytest.mark.parametrize("tube", ["", "-a", "a:b", "a b", "x" * 201, "x" * 300])
def test_a_bad_name_is_refused_and_the_connection_goes_on(
    run: Run, client: aiostalk.Client, tube: str
) -> None:
    for coroutine in (
        client.use(tube),
        client.watch(tube),
        client.ignore(tube),
        client.stats_tube(tube),
        client.pause_tube(tube, 1),
    ):
        with pytest.raises(aiostalk.BadFormatError):
            run(coroutine)
    assert run(client.tubes()) == ["default"]


def test_a_name_outside_ascii_is_not_sent(run: Run, client: aiostalk.Client) -> None:
    with pytest.raises(UnicodeEncodeError):
        run(client.use("ü"))
    assert run(client.using()) == "default"


# Reserving.


def test_reserve_prefers_the_lowest_priority_then_the_lowest_id(
    run: Run, client: aiostalk.Client, other: aiostalk.Client
) -> None:
    run(client.watch("orders"))
    run(other.put("second", priority=5))
    run(other.put("third", priority=5))
    run(other.use("orders"))
    run(other.put("first", priority=1))
    bodies = [run(client.reserve(timeout=0)).body for _ in range(3)]
    assert bodies == ["first", "second", "third"]


def test_reserve_without_a_timeout_answers_at_once_when_a_job_is_ready(
    run: Run, client: aiostalk.Client
) -> None:
    run(client.put("a"))
    job = run(client.reserve())
    assert isinstance(job, greenstalk.Job)
    assert (job.id, job.body) == (1, "a")


@pytest.mark.parametrize("timeout", [0, 0.5])
def test_reserve_with_no_time_left_is_timed_out(
    run: Run, client: aiostalk.Client, timeout: float
) -> None:
    with pytest.raises(aiostalk.TimedOutError):
        run(client.reserve(timeout=timeout))


def test_a_waiting_client_is_given_the_next_job(
    run: Run,
    start: Start,
    client: aiostalk.Client,
    other: aiostalk.Client,
    until: Until,
) -> None:
    waiting = start(client.reserve())
    until(lambda: bool(run(other.stats())["current-waiting"] == 1))
    job_id = run(other.put("a"))
    assert run(other.stats_job(job_id))["state"] == "reserved"
    job = run(waiting)
    assert (job.id, job.body) == (job_id, "a")


def test_a_waiting_client_takes_no_other_command(
    run: Run,
    start: Start,
    client: aiostalk.Client,
    other: aiostalk.Client,
    until: Until,
) -> None:
    waiting = start(client.reserve())
    until(lambda: bool(run(other.stats())["current-waiting"] == 1))
    # It is sent all the same, and answered when nobody asks.
    with pytest.raises(RuntimeError, match="another coroutine is already waiting"):
        run(client.using())
    run(other.put("a"))
    assert run(waiting).body == "a"
    with pytest.raises(aiostalk.UnknownResponseError) as error:
        run(client.delete(1))
    assert error.value.status == b"USING"


def test_a_client_that_gave_up_waiting_and_closed_takes_no_job(
    server: Server, run: Run, start: Start, client: aiostalk.Client, until: Until
) -> None:
    leaver = aiostalk.Client(server.address)
    run(leaver.connect())
    waiting = start(leaver.reserve())
    until(lambda: bool(run(client.stats())["current-waiting"] == 1))
    waiting.cancel()
    with pytest.raises(asyncio.CancelledError):
        run(waiting)
    run(leaver.close())
    until(lambda: bool(run(client.stats())["current-waiting"] == 0))
    job_id = run(client.put("a"))
    assert run(client.reserve(timeout=0)).id == job_id
    assert run(client.stats_job(job_id))["reserves"] == 1


def test_many_clients_share_one_loop_and_one_server(server: Server, run: Run) -> None:
    async def consume(number: int) -> str:
        async with aiostalk.Client(server.address, watch=f"tube-{number}") as consumer:
            job = await consumer.reserve()
            await consumer.delete(job)
            body: str = job.body
            return body

    async def produce(number: int) -> None:
        async with aiostalk.Client(server.address, use=f"tube-{number}") as producer:
            await producer.put(f"to {number}")

    async def together() -> list[str | None]:
        numbers = range(10)
        consumers = [consume(number) for number in numbers]
        return await asyncio.gather(*consumers, *map(produce, numbers))

    bodies = run(together())
    assert bodies[:10] == [f"to {number}" for number in range(10)]


def test_reserve_in_the_last_second_of_a_job_is_told_so(
    server: Server, run: Run, client: aiostalk.Client
) -> None:
    run(client.put("a", ttr=10))
    job = run(client.reserve(timeout=0))
    server.advance(9.5)
    for coroutine in (client.reserve(timeout=0), client.reserve()):
        with pytest.raises(aiostalk.DeadlineSoonError):
            run(coroutine)
    run(client.touch(job))
    with pytest.raises(aiostalk.TimedOutError):
        run(client.reserve(timeout=0))


def test_reserve_job_takes_ready_delayed_and_buried_jobs_of_any_tube(
    run: Run, client: aiostalk.Client, other: aiostalk.Client
) -> None:
    run(other.use("orders"))
    run(other.watch("orders"))
    buried = run(other.put("buried"))
    run(other.bury(run(other.reserve(timeout=0))))
    ready = run(other.put("ready"))
    delayed = run(other.put("delayed", delay=60))
    for job_id, body in ((buried, "buried"), (ready, "ready"), (delayed, "delayed")):
        job = run(client.reserve_job(job_id))
        assert (job.id, job.body) == (job_id, body)
        for refused in (client, other):
            with pytest.raises(aiostalk.NotFoundError):
                run(refused.reserve_job(job_id))


# What is done with a job.


def test_delete_takes_a_job_or_an_id_in_every_state(
    run: Run, client: aiostalk.Client
) -> None:
    run(client.put("reserved"))
    run(client.delete(run(client.reserve(timeout=0))))
    run(client.put("buried"))
    job = run(client.reserve(timeout=0))
    run(client.bury(job))
    run(client.delete(job))
    run(client.delete(run(client.put("ready"))))
    run(client.delete(run(client.put("delayed", delay=60))))
    assert run(client.stats_tube("default"))["cmd-delete"] == 4


@pytest.mark.parametrize("by_id", [False, True], ids=["job", "id"])
def test_release_bury_and_touch_take_a_job_or_an_id(
    server: Server, run: Run, client: aiostalk.Client, *, by_id: bool
) -> None:
    run(client.put("a", ttr=10))
    reserved = run(client.reserve(timeout=0))
    job = reserved.id if by_id else reserved
    server.advance(7)
    run(client.touch(job))
    server.advance(7)
    assert run(client.stats_job(job))["state"] == "reserved"
    run(client.release(job, priority=3, delay=20))
    stats = run(client.stats_job(job))
    assert (stats["state"], stats["pri"], stats["delay"]) == ("delayed", 3, 20)
    server.advance(21)
    run(client.reserve(timeout=0))
    run(client.release(job))
    stats = run(client.stats_job(job))
    assert (stats["state"], stats["pri"], stats["delay"]) == ("ready", 65536, 0)
    run(client.reserve(timeout=0))
    run(client.bury(job, priority=9))
    stats = run(client.stats_job(job))
    assert (stats["state"], stats["pri"], stats["buries"]) == ("buried", 9, 1)


def test_nobody_else_may_act_on_a_reserved_job(
    run: Run, client: aiostalk.Client, other: aiostalk.Client
) -> None:
    job_id = run(client.put("a"))
    run(client.reserve(timeout=0))
    for verb in (other.delete, other.release, other.bury, other.touch):
        with pytest.raises(aiostalk.NotFoundError):
            run(verb(job_id))
    run(client.delete(job_id))
    for verb in (client.delete, client.touch, client.peek, client.stats_job):
        with pytest.raises(aiostalk.NotFoundError):
            run(verb(job_id))


@pytest.mark.parametrize("number", [-1, U32_MAX + 1])
def test_numbers_outside_the_range_are_refused(
    run: Run, client: aiostalk.Client, number: int
) -> None:
    run(client.put("a"))
    job = run(client.reserve(timeout=0))
    for coroutine in (
        client.release(job, priority=number),
        client.release(job, delay=number),
        client.bury(job, priority=number),
        client.pause_tube("default", number),
    ):
        with pytest.raises(aiostalk.BadFormatError):
            run(coroutine)
    assert run(client.stats_job(job))["state"] == "reserved"


# Time.


def test_a_job_whose_ttr_is_over_is_ready_for_anyone(
    server: Server, run: Run, client: aiostalk.Client, other: aiostalk.Client
) -> None:
    run(client.put("a", ttr=10))
    job = run(client.reserve(timeout=0))
    server.advance(11)
    assert run(other.reserve(timeout=0)).id == job.id
    for verb in (client.touch, client.release, client.bury, client.delete):
        with pytest.raises(aiostalk.NotFoundError):
            run(verb(job))
    stats = run(client.stats_job(job))
    assert (stats["reserves"], stats["timeouts"]) == (2, 1)


def test_a_delayed_job_arrives_when_its_delay_is_over(
    server: Server, run: Run, client: aiostalk.Client
) -> None:
    job_id = run(client.put("a", delay=30))
    server.advance(29)
    with pytest.raises(aiostalk.TimedOutError):
        run(client.reserve(timeout=0))
    server.advance(2)
    assert run(client.reserve(timeout=0)).id == job_id


def test_a_waiting_client_is_answered_when_time_has_come(
    server: Server,
    run: Run,
    start: Start,
    client: aiostalk.Client,
    other: aiostalk.Client,
    *,
    until: Until,
) -> None:
    for delay in (20, 40):
        job_id = run(other.put("a", delay=delay))
        waiting = start(client.reserve(timeout=30))
        until(lambda: bool(run(other.stats())["current-waiting"] == 1))
        server.advance(21)
        # Only the first is there in time.
        if delay < 30:
            assert run(waiting).id == job_id
        else:
            server.advance(10)
            with pytest.raises(aiostalk.TimedOutError):
                run(waiting)


def test_a_paused_tube_gives_no_jobs_until_the_pause_ends(
    server: Server, run: Run, client: aiostalk.Client
) -> None:
    run(client.put("a"))
    run(client.pause_tube("default", 30))
    with pytest.raises(aiostalk.TimedOutError):
        run(client.reserve(timeout=0))
    assert run(client.stats_tube("default"))["pause"] == 30
    server.advance(31)
    assert run(client.reserve(timeout=0)).body == "a"


def test_a_pause_of_zero_ends_the_pause(
    server: Server, run: Run, client: aiostalk.Client
) -> None:
    run(client.put("a"))
    run(client.pause_tube("default", 1000))
    run(client.pause_tube("default", 0))
    # beanstalkd pauses for a nanosecond then, and its clock stands still.
    server.advance(0)
    assert run(client.reserve(timeout=0)).body == "a"
    with pytest.raises(aiostalk.NotFoundError):
        run(client.pause_tube("nosuch", 1))


# Looking and kicking.


def test_peek_looks_at_the_next_job_of_the_used_tube(
    run: Run, client: aiostalk.Client
) -> None:
    for body in ("buried first", "buried second"):
        run(client.put(body))
        run(client.bury(run(client.reserve(timeout=0))))
    run(client.put("ready later", priority=9))
    run(client.put("ready next", priority=1))
    run(client.put("delayed longer", delay=90))
    run(client.put("delayed shorter", delay=30))
    assert run(client.peek_ready()).body == "ready next"
    assert run(client.peek_delayed()).body == "delayed shorter"
    assert run(client.peek_buried()).body == "buried first"
    run(client.use("empty"))
    for peek in (client.peek_ready, client.peek_delayed, client.peek_buried):
        with pytest.raises(aiostalk.NotFoundError):
            run(peek())
    assert run(client.peek(1)).body == "buried first"


def test_kick_takes_buried_jobs_first_and_never_mixes(
    run: Run, client: aiostalk.Client
) -> None:
    for _ in range(3):
        run(client.put("buried"))
        run(client.bury(run(client.reserve(timeout=0))))
    delayed = run(client.put("delayed", delay=60))
    assert [run(client.kick(bound)) for bound in (2, 10)] == [2, 1]
    assert run(client.stats_job(delayed))["state"] == "delayed"
    assert [run(client.kick(bound)) for bound in (10, 10)] == [1, 0]
    assert run(client.stats_job(delayed))["state"] == "ready"


def test_kick_job_sends_nothing(run: Run, client: aiostalk.Client) -> None:
    # aiostalk 1.3.1 makes the coroutine that would send it, and drops it.
    job_id = run(client.put("delayed", delay=60))
    with pytest.warns(RuntimeWarning, match="was never awaited"):
        run(client.kick_job(job_id))
    assert run(client.stats_job(job_id))["state"] == "delayed"


# Statistics.


def test_stats_job_tells_all_of_a_job(
    run: Run, client: aiostalk.Client, stats_job_keys: list[str]
) -> None:
    run(client.use("orders"))
    stats = run(client.stats_job(run(client.put("a", 7, 20, 100))))
    assert list(stats) == stats_job_keys
    assert stats.pop("time-left") in {19, 20}
    assert list(stats.values()) == [
        *(1, "orders", "delayed", 7, 0, 20, 100),
        *(0, 0, 0, 0, 0, 0),
    ]


def test_stats_tube_tells_all_of_a_tube(
    run: Run, client: aiostalk.Client, stats_tube_keys: list[str]
) -> None:
    run(client.use("orders"))
    run(client.watch("orders"))
    run(client.put("a"))
    run(client.bury(run(client.reserve(timeout=0))))
    run(client.put("a"))
    run(client.reserve(timeout=0))
    run(client.put("a", priority=1023))
    run(client.put("a", delay=60))
    run(client.delete(run(client.put("a"))))
    stats = run(client.stats_tube("orders"))
    assert list(stats) == stats_tube_keys
    assert list(stats.values()) == ["orders", 1, 1, 1, 1, 1, 5, 1, 1, 0, 1, 0, 0, 0]
    with pytest.raises(aiostalk.NotFoundError):
        run(client.stats_tube("nosuch"))


def test_stats_tells_all_of_the_server(
    run: Run, client: aiostalk.Client, stats_keys: list[str], server: Server
) -> None:
    run(client.put("a"))
    stats = run(client.stats())
    assert list(stats) == stats_keys
    assert stats["version"] == server.version
    assert stats["max-job-size"] == BIGGEST
    assert stats["draining"] == "false"
    assert (stats["cmd-put"], stats["cmd-stats"], stats["total-jobs"]) == (1, 1, 1)


# What only the fake can do: outages.


def test_a_dropped_client_reads_the_end_and_can_connect_again(
    fake: FakeBeanstalkd, run: Run, fake_client: aiostalk.Client
) -> None:
    run(fake_client.put("a"))
    run(fake_client.reserve(timeout=0))
    fake.drop()
    with pytest.raises(ConnectionError, match=r"^Unexpected EOF$"):
        run(fake_client.put("b"))
    run(fake_client.close())
    run(fake_client.connect())
    assert run(fake_client.reserve(timeout=0)).body == "a"


def test_a_client_dropped_while_it_waits_reads_the_end(
    fake: FakeBeanstalkd,
    run: Run,
    start: Start,
    fake_client: aiostalk.Client,
    fake_looker: aiostalk.Client,
    *,
    until: Until,
) -> None:
    waiting = start(fake_client.reserve())
    until(lambda: bool(run(fake_looker.stats())["current-waiting"] == 1))
    fake.drop()
    with pytest.raises(ConnectionError, match=r"^Unexpected EOF$"):
        run(waiting)


def test_a_refusing_server_is_reached_again_when_restored(
    fake: FakeBeanstalkd, run: Run
) -> None:
    async def put() -> Any:
        async with aiostalk.Client(fake.address) as client:
            return await client.put("a")

    fake.refuse()
    with pytest.raises(ConnectionRefusedError):
        run(put())
    fake.restore()
    assert run(put()) == 1
