"""The public face, through the handles: one thread, and time moved by hand."""

from __future__ import annotations

import copy
import gc
import os
import pickle
import re
import weakref
from dataclasses import FrozenInstanceError, asdict
from typing import TYPE_CHECKING, Any

import pytest

import inproc_tubes
from inproc_tubes import (
    Broker,
    BrokerStats,
    ClosedError,
    Consumer,
    DeadlineSoonError,
    DrainingError,
    Job,
    JobStats,
    JobTooBigError,
    NotFoundError,
    NotIgnoredError,
    Producer,
    TimedOutError,
    TubeStats,
)
from inproc_tubes.testing import FakeClock

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

MOST = 2**32 - 1  # of a priority, a delay, a ttr and a pause


@pytest.fixture
def clock() -> FakeClock:
    return FakeClock()


@pytest.fixture
def broker(clock: FakeClock) -> Iterator[Broker]:
    with Broker(clock=clock) as broker:
        yield broker
        if broker._engine.closed is None:
            broker._engine._check()


@pytest.fixture
def producer(broker: Broker) -> Producer:
    return broker.producer()


@pytest.fixture
def consumer(broker: Broker) -> Consumer:
    return broker.consumer()


@pytest.fixture
def other(broker: Broker) -> Consumer:
    return broker.consumer()


@pytest.fixture
def job(producer: Producer, consumer: Consumer) -> Job:
    """Reserve a job with a ttr of 10."""
    producer.put("work", priority=5, ttr=10)
    return consumer.reserve()


def bodies(consumer: Consumer) -> list[Any]:
    """Take all that is ready, in the order it is served."""
    found = []
    while True:
        try:
            found.append(consumer.reserve(0).body)
        except TimedOutError:
            return found


def state(broker: Broker, job_id: int) -> str:
    return broker.stats_job(job_id).state


# Put


def test_put_returns_ids_that_rise_from_one(producer: Producer) -> None:
    assert [1, 2, 3] == [producer.put(body) for body in "abc"]


def test_put_has_the_defaults_of_the_living_client(
    broker: Broker, producer: Producer
) -> None:
    stats = broker.stats_job(producer.put("work"))
    assert ("default", 65536, 0, 60) == (
        stats.tube,
        stats.priority,
        stats.delay,
        stats.ttr,
    )


def test_put_takes_its_numbers_in_beanstalkds_order(
    broker: Broker, producer: Producer
) -> None:
    stats = broker.stats_job(producer.put("work", 1, 2, 3))
    assert (1, 2, 3) == (stats.priority, stats.delay, stats.ttr)


def test_put_into_a_tube_is_for_this_job_only(
    broker: Broker, producer: Producer
) -> None:
    first = producer.put("there", tube="elsewhere")
    second = producer.put("here")
    assert "elsewhere" == broker.peek(first).tube
    assert "default" == broker.peek(second).tube
    assert "default" == producer.using()
    assert 0 == broker.stats_tube("elsewhere").current_using
    assert 0 == broker.stats().cmd_use


@pytest.mark.parametrize("priority", [0, 1, 1023, 1024, MOST])
def test_put_takes_every_priority_of_32_bits(
    broker: Broker, producer: Producer, priority: int
) -> None:
    assert priority == broker.peek(producer.put("x", priority)).priority


@pytest.mark.parametrize("delay", [1, 0.25, MOST, float(MOST)])
def test_put_with_a_delay_makes_a_delayed_job(
    broker: Broker, producer: Producer, delay: float
) -> None:
    stats = broker.stats_job(producer.put("x", delay=delay))
    assert ("delayed", delay, delay) == (stats.state, stats.delay, stats.time_left)


@pytest.mark.parametrize("delay", [0, 0.0, -0.0])
def test_put_without_a_delay_makes_a_ready_job(
    broker: Broker, producer: Producer, delay: float
) -> None:
    assert "ready" == state(broker, producer.put("x", delay=delay))


@pytest.mark.parametrize(
    ("ttr", "kept"), [(0, 1), (0.0, 1), (0.5, 0.5), (1, 1), (MOST, MOST)]
)
def test_a_ttr_of_0_becomes_1_and_no_other_is_changed(
    broker: Broker, producer: Producer, ttr: float, kept: float
) -> None:
    assert kept == broker.peek(producer.put("x", ttr=ttr)).ttr


@pytest.mark.parametrize(
    "tube", ["a" * 200, "0", "A+/;.$_()9", "a-", "default", "a.b/c"]
)
def test_a_tube_may_have_any_name_of_beanstalkds_grammar(
    broker: Broker, producer: Producer, tube: str
) -> None:
    producer.use(tube)
    assert tube == producer.using()
    assert tube in broker.tubes()


KINDS = [bytes, bytearray, memoryview, bytes.decode]


@pytest.mark.parametrize("kind", KINDS)
def test_the_size_limit_is_inclusive(
    producer: Producer, kind: Callable[[bytes], Any]
) -> None:
    assert 1 == producer.put(kind(b"x" * 65535))
    with pytest.raises(JobTooBigError) as caught:
        producer.put(kind(b"x" * 65536))
    assert (65536, 65535) == (caught.value.size, caught.value.limit)


@pytest.mark.parametrize("body", ["\u00fc" * 5, "\N{PILE OF POO}" * 2 + "ab", "x" * 10])
def test_a_str_is_as_large_as_its_utf_8(clock: FakeClock, body: str) -> None:
    producer = Broker(clock=clock, max_job_size=10).producer()
    producer.put(body)
    with pytest.raises(JobTooBigError) as caught:
        producer.put(body + "!")
    assert 11 == caught.value.size


def test_a_memoryview_is_as_large_as_its_bytes(clock: FakeClock) -> None:
    producer = Broker(clock=clock, max_job_size=15).producer()
    with pytest.raises(JobTooBigError) as caught:
        producer.put(memoryview(bytes(16)).cast("I"))  # of length 4
    assert 16 == caught.value.size


@pytest.mark.parametrize("kind", KINDS)
def test_without_a_limit_any_size_is_taken(
    clock: FakeClock, kind: Callable[[bytes], Any]
) -> None:
    broker = Broker(clock=clock, max_job_size=None)
    assert 1 == broker.producer().put(kind(b"x" * 100_000))
    assert broker.stats().max_job_size is None


@pytest.mark.parametrize("kind", KINDS)
def test_a_limit_of_0_takes_the_empty_body(
    clock: FakeClock, kind: Callable[[bytes], Any]
) -> None:
    producer = Broker(clock=clock, max_job_size=0).producer()
    assert 1 == producer.put(kind(b""))
    with pytest.raises(JobTooBigError):
        producer.put(kind(b"x"))


def test_only_str_and_bytes_have_a_size(clock: FakeClock) -> None:
    producer = Broker(clock=clock, max_job_size=0).producer()
    for body in ([b"x" * 100], {"x": "y"}, 10**100, None, range(5)):
        producer.put(body)


def test_a_job_too_big_is_counted_and_takes_no_id(
    broker: Broker, producer: Producer
) -> None:
    with pytest.raises(JobTooBigError):
        producer.put(b"x" * 65536)
    stats = broker.stats()
    assert (1, 0, 0) == (stats.cmd_put, stats.total_jobs, stats.current_producers)
    assert 1 == producer.put("small")


def test_a_job_too_big_for_a_new_tube_does_not_make_the_tube(
    broker: Broker, producer: Producer
) -> None:
    with pytest.raises(JobTooBigError):
        producer.put(b"x" * 65536, tube="new")
    assert ["default"] == broker.tubes()


class Untouchable:
    """A body that may be looked at by nobody."""

    def refuse(self, *args: object) -> Any:
        raise AssertionError(args)

    __eq__ = __lt__ = __bool__ = __len__ = __copy__ = __deepcopy__ = refuse
    __hash__ = __reduce_ex__ = __repr__ = __str__ = __iter__ = refuse


def test_an_untouchable_body_does_refuse() -> None:
    with pytest.raises(AssertionError):
        repr(Untouchable())


def test_a_body_is_handed_over_by_reference_and_never_looked_into(
    broker: Broker, producer: Producer, consumer: Consumer
) -> None:
    body = Untouchable()
    job_id = producer.put(body)
    for _ in range(3):
        producer.put(Untouchable())  # equal priorities: only ids are compared
    assert broker.peek_ready().body is body
    job = consumer.reserve()
    assert job.body is body
    job.release(delay=1)
    assert broker.peek_delayed().body is body
    job = consumer.reserve_job(job_id)
    job.bury()
    assert broker.peek_buried().body is body
    broker.stats_job(job_id)
    broker.kick_job(job_id)
    with consumer.reserve() as job:
        assert job.body is body


@pytest.mark.parametrize(
    "body", [None, 0, "text", b"", [], {}, False, object, len, ...]
)
def test_any_object_is_a_body(
    producer: Producer, consumer: Consumer, body: object
) -> None:
    producer.put(body)
    assert body is consumer.reserve(0).body


def test_a_body_that_changes_is_seen_changed(
    producer: Producer, consumer: Consumer
) -> None:
    body = ["put"]
    producer.put(body)
    body.append("changed")
    assert ["put", "changed"] == consumer.reserve(0).body


def test_a_deleted_body_is_let_go(producer: Producer, consumer: Consumer) -> None:
    class Body:
        pass

    body = Body()
    watched = weakref.ref(body)
    producer.put(body)
    del body
    with consumer.reserve():
        assert watched() is not None
    gc.collect()
    assert watched() is None


# Use


def test_a_producer_uses_the_tube_it_was_made_for(broker: Broker) -> None:
    assert "default" == broker.producer().using()
    assert "jobs" == broker.producer("jobs").using()


def test_use_makes_the_tube_and_leaves_the_old_one_to_vanish(broker: Broker) -> None:
    producer = broker.producer("old")
    producer.use("new")
    assert ["default", "new"] == broker.tubes()
    producer.put("x")
    producer.use("default")
    assert "new" == broker.peek(1).tube


def test_use_of_the_tube_that_is_used_keeps_it(broker: Broker) -> None:
    producer = broker.producer("jobs")
    producer.use("jobs")
    assert 1 == broker.stats_tube("jobs").current_using


# Watch


def test_a_consumer_watches_exactly_the_tubes_it_was_made_for(broker: Broker) -> None:
    assert ["default"] == broker.consumer().watching()
    assert ["b", "a"] == broker.consumer("b", "a").watching()


def test_a_consumer_made_for_one_tube_twice_watches_it_once(broker: Broker) -> None:
    consumer = broker.consumer("a", "a")
    assert ["a"] == consumer.watching()
    assert 1 == broker.stats_tube("a").current_watching


def test_watch_returns_how_many_tubes_are_watched(consumer: Consumer) -> None:
    assert 2 == consumer.watch("a")
    assert 2 == consumer.watch("a")
    assert 4 == consumer.watch("a", "b", "c")
    assert 4 == consumer.watch()
    assert ["default", "a", "b", "c"] == consumer.watching()


def test_ignore_moves_the_last_tube_into_the_hole(broker: Broker) -> None:
    consumer = broker.consumer("default", "a", "b", "c", "d")
    assert 4 == consumer.ignore("a")
    assert ["default", "d", "b", "c"] == consumer.watching()


def test_the_last_watched_tube_may_not_be_ignored(consumer: Consumer) -> None:
    with pytest.raises(NotIgnoredError) as caught:
        consumer.ignore("default")
    assert "default" == caught.value.tube
    assert ["default"] == consumer.watching()


def test_to_ignore_what_is_not_watched_is_no_error(
    broker: Broker, consumer: Consumer
) -> None:
    with broker.producer("used"):
        assert 1 == consumer.ignore("used")
        assert 1 == consumer.ignore("nowhere")
        assert ["default", "used"] == broker.tubes()


def test_an_ignored_tube_is_reserved_from_no_longer(broker: Broker) -> None:
    consumer = broker.consumer("a", "b")
    broker.producer("a").put("x")
    consumer.ignore("a")
    assert [] == bodies(consumer)
    consumer.watch("a")
    assert ["x"] == bodies(consumer)


# Reserve


def test_jobs_are_served_by_priority_and_then_by_id(
    producer: Producer, consumer: Consumer
) -> None:
    for priority, body in [(9, "c"), (0, "a"), (9, "d"), (5, "b"), (9, "e")]:
        producer.put(body, priority)
    assert list("abcde") == bodies(consumer)


def test_the_order_of_watching_has_no_effect(
    broker: Broker, producer: Producer
) -> None:
    for tube, priority in [("a", 5), ("b", 5), ("a", 5), ("b", 1), ("c", 5)]:
        producer.put(f"{tube}{priority}", priority, tube=tube)
    consumer = broker.consumer("c", "b", "a")
    assert ["b1", "a5", "b5", "a5", "c5"] == bodies(consumer)


@pytest.mark.parametrize("timeout", [None, 0, 0.0, 0.5, 10, 2**31 - 1])
def test_reserve_takes_what_is_ready_whatever_the_timeout(
    producer: Producer, consumer: Consumer, timeout: float | None
) -> None:
    producer.put("x")
    assert "x" == consumer.reserve(timeout).body


@pytest.mark.parametrize("timeout", [0, 0.0, -0.0])
def test_reserve_with_a_timeout_of_0_does_not_wait(
    clock: FakeClock, consumer: Consumer, timeout: float
) -> None:
    before = clock.now()
    with pytest.raises(TimedOutError) as caught:
        consumer.reserve(timeout)
    assert 0 == caught.value.timeout
    assert before == clock.now()


@pytest.mark.parametrize("timeout", [0.25, 1, 2.5, 2**31 - 1])
def test_reserve_waits_for_its_timeout_to_the_moment(timeout: float) -> None:
    clock = FakeClock(autojump=True)
    consumer = Broker(clock=clock).consumer()
    before = clock.now()
    with pytest.raises(TimedOutError) as caught:
        consumer.reserve(timeout)
    assert timeout == caught.value.timeout
    assert before + timeout == clock.now()


def test_a_job_that_comes_in_the_moment_of_the_timeout_beats_it() -> None:
    clock = FakeClock(autojump=True)
    broker = Broker(clock=clock)
    broker.producer().put("x", delay=5)
    assert "x" == broker.consumer().reserve(5).body


def test_reserve_without_a_timeout_waits_until_a_job_comes() -> None:
    clock = FakeClock(autojump=True)
    broker = Broker(clock=clock)
    broker.producer().put("x", delay=3600)
    before = clock.now()
    assert "x" == broker.consumer().reserve().body
    assert before + 3600 == clock.now()


def test_a_reserve_that_failed_leaves_nobody_waiting(
    broker: Broker, consumer: Consumer
) -> None:
    assert [] == bodies(consumer)
    assert 0 == broker.stats().current_waiting


def test_deadline_soon_names_the_job_and_the_time_it_has(
    clock: FakeClock, consumer: Consumer, job: Job
) -> None:
    clock.advance(9)
    for _ in range(2):
        with pytest.raises(DeadlineSoonError) as caught:
            consumer.reserve(0)
        assert (job.id, 1) == (caught.value.job_id, caught.value.time_left)
    job.touch()
    with pytest.raises(TimedOutError):
        consumer.reserve(0)


def test_deadline_soon_is_not_told_to_others_nor_while_a_job_is_ready(
    clock: FakeClock, producer: Producer, consumer: Consumer, other: Consumer, job: Job
) -> None:
    clock.advance(9.5)
    with pytest.raises(TimedOutError):
        other.reserve(0)
    producer.put("ready")
    assert "ready" == consumer.reserve(0).body
    assert "reserved" == job.stats().state


def test_with_a_ttr_of_1_deadline_soon_is_told_at_once(
    producer: Producer, consumer: Consumer
) -> None:
    producer.put("x", ttr=1)
    consumer.reserve()
    with pytest.raises(DeadlineSoonError):
        consumer.reserve(0)


def test_iteration_takes_one_job_after_the_other(
    producer: Producer, consumer: Consumer
) -> None:
    for body in "abc":
        producer.put(body)
    seen = []
    for job in consumer:
        with job:
            seen.append(job.body)
        if job.body == "c":
            consumer.close()
    assert list("abc") == seen
    assert [] == list(consumer)


def test_iteration_ends_with_the_broker(broker: Broker, consumer: Consumer) -> None:
    broker.close()
    assert [] == list(consumer)


def test_iteration_waits_on_where_deadline_soon_would_be_told() -> None:
    clock = FakeClock(autojump=True)
    broker = Broker(clock=clock)
    broker.producer().put("x", ttr=5)
    consumer = broker.consumer()
    first = next(consumer)
    before = clock.now()
    second = next(consumer)
    assert before + 5 == clock.now()
    assert (first.id, 2, 1) == (second.id, second.reserves, second.timeouts)


# Reserve by id


def test_reserve_job_takes_a_job_in_any_state_that_nobody_holds(
    broker: Broker, producer: Producer, consumer: Consumer
) -> None:
    ready = producer.put("ready", tube="unwatched")
    delayed = producer.put("delayed", delay=50)
    buried = producer.put("buried")
    consumer.reserve_job(buried).bury()
    broker.pause_tube("unwatched", 100)
    jobs = [consumer.reserve_job(number) for number in (ready, delayed, buried)]
    assert ["ready", "delayed", "buried"] == [job.body for job in jobs]
    assert ["reserved"] * 3 == [job.stats().state for job in jobs]


def test_reserve_job_takes_no_job_that_is_held(
    consumer: Consumer, other: Consumer, job: Job
) -> None:
    for who in (consumer, other):
        with pytest.raises(NotFoundError) as caught:
            who.reserve_job(job.id)
        assert job.id == caught.value.job_id


@pytest.mark.parametrize("job_id", [0, 2, 2**64 - 1])
def test_reserve_job_takes_no_job_that_is_not_there(
    consumer: Consumer, job: Job, job_id: int
) -> None:
    assert 1 == job.id
    with pytest.raises(NotFoundError):
        consumer.reserve_job(job_id)


def test_reserve_job_hears_of_no_deadline(
    clock: FakeClock, producer: Producer, consumer: Consumer, job: Job
) -> None:
    clock.advance(9.5)
    second = producer.put("second")
    assert second == consumer.reserve_job(second).id
    assert "reserved" == job.stats().state


# Delete, release, bury, touch: by handle, and by id

Target = Any
BY = [
    pytest.param(lambda job: job, id="by handle"),
    pytest.param(lambda job: job.id, id="by id"),
]


@pytest.mark.parametrize("by", BY)
def test_delete(
    broker: Broker, consumer: Consumer, job: Job, by: Callable[[Job], Target]
) -> None:
    consumer.delete(by(job))
    with pytest.raises(NotFoundError):
        broker.peek(1)
    with pytest.raises(NotFoundError):
        consumer.delete(by(job))
    stats = broker.stats_tube("default")
    assert (1, 0) == (stats.cmd_delete, stats.current_jobs_reserved)
    assert 2 == broker.stats().cmd_delete


@pytest.mark.parametrize("by", BY)
def test_release_gives_a_job_back_to_its_old_place(
    producer: Producer, consumer: Consumer, job: Job, by: Callable[[Job], Target]
) -> None:
    producer.put("younger", priority=5)
    consumer.release(by(job))
    assert (1, 0) == (job.releases, job.delay)
    assert ["work", "younger"] == bodies(consumer)


@pytest.mark.parametrize("by", BY)
def test_release_may_change_priority_and_delay(
    clock: FakeClock,
    broker: Broker,
    consumer: Consumer,
    job: Job,
    by: Callable[[Job], Target],
) -> None:
    consumer.release(by(job), 9, 1.5)
    stats = broker.stats_job(1)
    assert ("delayed", 9, 1.5, 1.5) == (
        stats.state,
        stats.priority,
        stats.delay,
        stats.time_left,
    )
    clock.advance(1.5)
    assert "ready" == state(broker, 1)


@pytest.mark.parametrize("by", BY)
def test_bury_puts_a_job_aside(
    broker: Broker, consumer: Consumer, job: Job, by: Callable[[Job], Target]
) -> None:
    consumer.bury(by(job), 9)
    stats = broker.stats_job(1)
    assert ("buried", 9, 1) == (stats.state, stats.priority, stats.buries)
    assert [] == bodies(consumer)


@pytest.mark.parametrize("by", BY)
def test_touch_starts_the_time_to_run_anew(
    clock: FakeClock, consumer: Consumer, job: Job, by: Callable[[Job], Target]
) -> None:
    clock.advance(7)
    consumer.touch(by(job))
    assert 10 == job.stats().time_left
    clock.advance(7)
    assert ("reserved", 0) == (job.stats().state, job.timeouts)
    clock.advance(3)
    assert ("ready", 1) == (job.stats().state, job.timeouts)


def test_a_priority_of_none_is_kept_and_0_is_not_none(
    consumer: Consumer, job: Job
) -> None:
    job.release(priority=None)
    assert 5 == job.priority
    job = consumer.reserve()
    job.release(priority=0)
    assert 0 == job.priority
    job = consumer.reserve()
    job.bury(None)
    assert 0 == job.priority


@pytest.mark.parametrize("verb", ["release", "bury", "touch"])
@pytest.mark.parametrize("where", ["ready", "delayed", "buried", "held by another"])
def test_only_who_holds_a_job_may_release_bury_or_touch_it(
    consumer: Consumer,
    job: Job,
    other: Consumer,
    verb: str,
    where: str,
) -> None:
    if where == "held by another":
        consumer, other = other, consumer
    elif where == "buried":
        job.bury()
    else:
        job.release(delay=5 if where == "delayed" else 0)
    before = job.stats()
    for target in (job, job.id):
        with pytest.raises(NotFoundError) as caught:
            getattr(consumer, verb)(target)
        assert 1 == caught.value.job_id
    assert before == job.stats()


@pytest.mark.parametrize("by", BY)
@pytest.mark.parametrize("where", ["ready", "delayed", "buried"])
def test_anybody_may_delete_what_nobody_holds(
    broker: Broker, other: Consumer, job: Job, where: str, by: Callable[[Job], Target]
) -> None:
    if where == "buried":
        job.bury()
    else:
        job.release(delay=5 if where == "delayed" else 0)
    assert where == state(broker, 1)
    other.delete(by(job))
    assert {} == broker._engine.jobs


@pytest.mark.parametrize("by", BY)
def test_nobody_may_delete_what_another_holds(
    broker: Broker, other: Consumer, job: Job, by: Callable[[Job], Target]
) -> None:
    for who in (other, broker):
        with pytest.raises(NotFoundError):
            who.delete(by(job))
    assert "reserved" == state(broker, 1)


@pytest.mark.parametrize("by", BY)
def test_the_broker_deletes_what_nobody_holds(
    broker: Broker, job: Job, by: Callable[[Job], Target]
) -> None:
    job.bury()
    broker.delete(by(job))
    with pytest.raises(NotFoundError):
        broker.peek(1)


# Peek and kick


def test_peek_finds_a_job_in_any_state(
    broker: Broker, producer: Producer, consumer: Consumer
) -> None:
    producer.put("reserved", 0)
    producer.put("buried", 1)
    producer.put("ready")
    producer.put("delayed", delay=1)
    consumer.reserve()
    consumer.reserve().bury()
    for job_id, word in enumerate(["reserved", "buried", "ready", "delayed"], 1):
        peeked = broker.peek(job_id)
        assert (job_id, word, word) == (peeked.id, peeked.body, peeked.stats().state)


def test_peek_changes_nothing(broker: Broker, producer: Producer) -> None:
    job_id = producer.put("x")
    before = broker.stats_job(job_id)
    broker.peek(job_id)
    broker.peek_ready()
    assert before == broker.stats_job(job_id)
    assert 0 == broker.stats().current_workers


def test_peek_ready_shows_what_is_served_next_paused_or_not(
    broker: Broker, producer: Producer
) -> None:
    producer.use("jobs")
    producer.put("later", 5)
    producer.put("next", 1)
    broker.pause_tube("jobs", 100)
    assert "next" == broker.peek_ready("jobs").body


def test_peek_delayed_shows_the_soonest(broker: Broker, producer: Producer) -> None:
    for delay in (50, 20, 90):
        producer.put(delay, delay=delay, tube="jobs")
    assert 20 == broker.peek_delayed("jobs").body


def test_peek_buried_shows_the_longest_buried(
    broker: Broker, producer: Producer, consumer: Consumer
) -> None:
    for body in "abc":
        producer.put(body)
    jobs = [consumer.reserve() for _ in "abc"]
    for place, priority in ((2, 9), (0, 0), (1, 5)):
        jobs[place].bury(priority)
    assert "c" == broker.peek_buried("default").body


@pytest.mark.parametrize("which", ["ready", "delayed", "buried"])
@pytest.mark.parametrize("tube", ["default", "nowhere"])
def test_where_there_is_nothing_to_peek_at_the_error_says_so(
    broker: Broker, which: str, tube: str
) -> None:
    with pytest.raises(NotFoundError, match=rf"^tube '{tube}' has no {which} job$"):
        getattr(broker, f"peek_{which}")(tube)
    assert ["default"] == broker.tubes()


def test_a_peeked_job_may_be_deleted_where_nobody_holds_it(
    broker: Broker, producer: Producer
) -> None:
    producer.put("x")
    broker.peek_ready().delete()
    with pytest.raises(NotFoundError):
        broker.peek(1)


def test_a_peeked_job_may_not_be_released_buried_or_touched(
    broker: Broker, producer: Producer
) -> None:
    producer.put("x")
    peeked = broker.peek_ready()
    for verb in (peeked.release, peeked.bury, peeked.touch):
        with pytest.raises(NotFoundError):
            verb()
    assert "ready" == peeked.stats().state


def test_a_peeked_job_gives_no_power_over_what_another_holds(
    broker: Broker, job: Job
) -> None:
    peeked = broker.peek(job.id)
    for verb in (peeked.delete, peeked.release, peeked.bury, peeked.touch):
        with pytest.raises(NotFoundError):
            verb()
    job.delete()


def test_the_holder_may_use_a_handle_that_was_peeked_at(
    broker: Broker, consumer: Consumer, job: Job
) -> None:
    consumer.delete(broker.peek(job.id))
    assert {} == broker._engine.jobs


def test_a_peeked_job_may_be_kicked_by_its_handle(broker: Broker, job: Job) -> None:
    job.bury()
    broker.kick_job(broker.peek_buried())
    assert ("ready", 1) == (job.stats().state, job.kicks)


def test_a_peeked_handle_is_fenced_when_the_job_is_reserved(
    broker: Broker, producer: Producer, consumer: Consumer
) -> None:
    producer.put("x")
    peeked = broker.peek_ready()
    consumer.reserve().release()
    for verb in (peeked.delete, peeked.release, peeked.bury, peeked.touch):
        with pytest.raises(NotFoundError):
            verb()
    with pytest.raises(NotFoundError):
        peeked.stats()


@pytest.mark.parametrize("which", ["ready", "reserved"])
def test_a_peeked_job_as_a_context_manager_leaves_the_job_alone(
    broker: Broker, producer: Producer, consumer: Consumer, which: str
) -> None:
    producer.put("x")
    if which == "reserved":
        consumer.reserve()
    with broker.peek(1):
        pass
    assert which == state(broker, 1)
    with pytest.raises(ZeroDivisionError), broker.peek(1):
        raise ZeroDivisionError
    assert which == state(broker, 1)


def buried(producer: Producer, consumer: Consumer, *names: str) -> None:
    for name in names:
        producer.put(name)
    for job in [consumer.reserve() for _ in names]:
        job.bury()


def test_kick_takes_the_longest_buried_first(
    broker: Broker, producer: Producer, consumer: Consumer
) -> None:
    buried(producer, consumer, "a", "b", "c")
    assert 2 == broker.kick("default", 2)
    assert "c" == broker.peek_buried().body
    assert ["a", "b"] == bodies(consumer)


def test_kick_never_mixes_buried_and_delayed_jobs(
    broker: Broker, producer: Producer, consumer: Consumer
) -> None:
    buried(producer, consumer, "buried")
    producer.put("delayed", delay=50)
    assert 1 == broker.kick("default", 10)
    assert "delayed" == state(broker, 2)
    assert 1 == broker.kick("default", 10)
    assert 0 == broker.kick("default", 10)
    assert 50 == broker.peek(2).delay


def test_kick_takes_the_soonest_of_the_delayed(
    broker: Broker, producer: Producer
) -> None:
    for delay in (50, 20, 90):
        producer.put(delay, delay=delay)
    assert 1 == broker.kick("default", 1)
    assert 20 == broker.peek_ready().body


@pytest.mark.parametrize("bound", [0, 10**30])
def test_kick_takes_any_bound(broker: Broker, producer: Producer, bound: int) -> None:
    producer.put("x", delay=9)
    assert min(bound, 1) == broker.kick("default", bound)


def test_kick_in_a_tube_that_is_not_there_kicks_nothing(broker: Broker) -> None:
    assert 0 == broker.kick("nowhere", 5)
    assert ["default"] == broker.tubes()


@pytest.mark.parametrize("by", BY)
@pytest.mark.parametrize("where", ["delayed", "buried"])
def test_kick_job_makes_a_job_ready(
    broker: Broker, job: Job, where: str, by: Callable[[Job], Target]
) -> None:
    if where == "buried":
        job.bury()
    else:
        job.release(delay=5)
    broker.kick_job(by(job))
    assert ("ready", 1) == (state(broker, 1), job.kicks)


@pytest.mark.parametrize("by", BY)
@pytest.mark.parametrize("where", ["ready", "reserved"])
def test_kick_job_is_for_buried_and_delayed_jobs_only(
    broker: Broker, job: Job, where: str, by: Callable[[Job], Target]
) -> None:
    if where == "ready":
        job.release()
    with pytest.raises(NotFoundError):
        broker.kick_job(by(job))
    assert (where, 0) == (state(broker, 1), job.kicks)


# Pause, drain, tubes


def test_a_paused_tube_serves_nobody_until_its_pause_is_over(
    clock: FakeClock, broker: Broker, producer: Producer, consumer: Consumer
) -> None:
    producer.put("x")
    broker.pause_tube("default", 2.5)
    assert [] == bodies(consumer)
    clock.advance(2.5)
    assert ["x"] == bodies(consumer)


def test_a_new_pause_replaces_the_old_one(
    clock: FakeClock, broker: Broker, producer: Producer, consumer: Consumer
) -> None:
    producer.put("x")
    broker.pause_tube("default", 100)
    broker.pause_tube("default", 1)
    stats = broker.stats_tube("default")
    assert (1, 1, 2) == (stats.pause, stats.pause_time_left, stats.cmd_pause_tube)
    broker.pause_tube("default", 50)
    clock.advance(49)
    assert [] == bodies(consumer)
    clock.advance(1)
    assert ["x"] == bodies(consumer)


def test_a_pause_of_0_ends_the_pause(
    broker: Broker, producer: Producer, consumer: Consumer
) -> None:
    producer.put("x")
    broker.pause_tube("default", MOST)
    broker.pause_tube("default", 0)
    stats = broker.stats_tube("default")
    assert (0, 0, 2) == (stats.pause, stats.pause_time_left, stats.cmd_pause_tube)
    assert ["x"] == bodies(consumer)


def test_a_pause_holds_back_one_tube_only(broker: Broker, producer: Producer) -> None:
    consumer = broker.consumer("a", "b")
    producer.put("urgent", 0, tube="a")
    producer.put("not urgent", 9, tube="b")
    broker.pause_tube("a", 100)
    assert ["not urgent"] == bodies(consumer)


def test_a_tube_that_is_not_there_cannot_be_paused(broker: Broker) -> None:
    with pytest.raises(
        NotFoundError, match=r"^tube 'nowhere' does not exist$"
    ) as caught:
        broker.pause_tube("nowhere", 1)
    assert "nowhere" == caught.value.tube
    assert ["default"] == broker.tubes()


def test_a_draining_broker_takes_no_jobs_and_goes_on_with_the_rest(
    broker: Broker, producer: Producer, consumer: Consumer, job: Job
) -> None:
    broker.drain()
    broker.drain()
    with pytest.raises(DrainingError):
        producer.put("x")
    with pytest.raises(JobTooBigError):
        producer.put(b"x" * 65536)
    job.release()
    with consumer.reserve() as again:
        assert job.id == again.id
    assert broker.stats().draining


def test_tubes_are_listed_in_beanstalkds_order(broker: Broker) -> None:
    producers = [broker.producer(name) for name in "abcd"]
    assert ["default", "a", "b", "c", "d"] == broker.tubes()
    producers[0].close()
    assert ["default", "d", "b", "c"] == broker.tubes()


def test_a_tube_lives_as_long_as_something_refers_to_it(broker: Broker) -> None:
    producer = broker.producer("jobs")
    consumer = broker.consumer("jobs")
    producer.put("x")
    producer.use("default")
    job = consumer.reserve()
    consumer.watch("default")
    consumer.ignore("jobs")
    broker.pause_tube("jobs", 100)
    assert "jobs" in broker.tubes()  # for the job that is held
    job.delete()
    with pytest.raises(NotFoundError):
        broker.stats_tube("jobs")
    producer.use("jobs")
    stats = broker.stats_tube("jobs")
    assert (0, 0, 0) == (stats.total_jobs, stats.cmd_delete, stats.pause)


# Statistics

JOB_KEYS = [
    "id",
    "tube",
    "state",
    "pri",
    "age",
    "delay",
    "ttr",
    "time-left",
    "file",
    "reserves",
    "timeouts",
    "releases",
    "buries",
    "kicks",
]
TUBE_KEYS = [
    "name",
    "current-jobs-urgent",
    "current-jobs-ready",
    "current-jobs-reserved",
    "current-jobs-delayed",
    "current-jobs-buried",
    "total-jobs",
    "current-using",
    "current-watching",
    "current-waiting",
    "cmd-delete",
    "cmd-pause-tube",
    "pause",
    "pause-time-left",
]
BROKER_KEYS = [
    "current-jobs-urgent",
    "current-jobs-ready",
    "current-jobs-reserved",
    "current-jobs-delayed",
    "current-jobs-buried",
    "cmd-put",
    "cmd-peek",
    "cmd-peek-ready",
    "cmd-peek-delayed",
    "cmd-peek-buried",
    "cmd-reserve",
    "cmd-reserve-with-timeout",
    "cmd-delete",
    "cmd-release",
    "cmd-use",
    "cmd-watch",
    "cmd-ignore",
    "cmd-bury",
    "cmd-kick",
    "cmd-touch",
    "cmd-stats",
    "cmd-stats-job",
    "cmd-stats-tube",
    "cmd-list-tubes",
    "cmd-list-tube-used",
    "cmd-list-tubes-watched",
    "cmd-pause-tube",
    "job-timeouts",
    "total-jobs",
    "max-job-size",
    "current-tubes",
    "current-connections",
    "current-producers",
    "current-workers",
    "current-waiting",
    "total-connections",
    "pid",
    "version",
    "rusage-utime",
    "rusage-stime",
    "uptime",
    "binlog-oldest-index",
    "binlog-current-index",
    "binlog-records-migrated",
    "binlog-records-written",
    "binlog-max-size",
    "draining",
    "id",
    "hostname",
    "os",
    "platform",
]


def test_the_dicts_have_beanstalkds_keys_in_its_order(broker: Broker, job: Job) -> None:
    assert (14, 14, 51) == (len(JOB_KEYS), len(TUBE_KEYS), len(BROKER_KEYS))
    assert JOB_KEYS == list(job.stats().as_dict())
    assert TUBE_KEYS == list(broker.stats_tube("default").as_dict())
    assert BROKER_KEYS == list(broker.stats().as_dict())


def test_the_fields_are_the_keys_in_snake_case(broker: Broker, job: Job) -> None:
    for stats in (job.stats(), broker.stats_tube("default"), broker.stats()):
        names = [key.replace("-", "_") for key in stats.as_dict()]
        assert [n if n != "pri" else "priority" for n in names] == list(asdict(stats))


def test_statistics_are_frozen_and_equal_by_their_values(
    broker: Broker, job: Job
) -> None:
    stats = job.stats()
    assert stats == job.stats()
    assert hash(stats) == hash(job.stats())
    with pytest.raises(FrozenInstanceError):
        stats.priority = 1  # type: ignore[misc]  # on purpose
    assert [JobStats, TubeStats, BrokerStats] == [
        type(stats),
        type(broker.stats_tube("default")),
        type(broker.stats()),
    ]


def test_every_field_of_a_job(
    clock: FakeClock, broker: Broker, producer: Producer, consumer: Consumer
) -> None:
    job_id = producer.put("x", 7, 2.5, 10.5, tube="jobs")
    clock.advance(3)  # matured
    consumer.reserve_job(job_id)
    clock.advance(10.5)  # expired
    consumer.reserve_job(job_id).release()
    consumer.reserve_job(job_id).release(9, 4.5)
    consumer.reserve_job(job_id).bury()
    broker.kick_job(job_id)
    consumer.reserve_job(job_id)
    clock.advance(0.25)
    expected = {
        "id": job_id,
        "tube": "jobs",
        "state": "reserved",
        "priority": 9,
        "age": 13.75,
        "delay": 4.5,
        "ttr": 10.5,
        "time_left": 10.25,
        "file": 0,
        "reserves": 5,
        "timeouts": 1,
        "releases": 2,
        "buries": 1,
        "kicks": 1,
    }
    assert expected == asdict(broker.stats_job(job_id))


def test_every_field_of_a_tube(
    clock: FakeClock, broker: Broker, consumer: Consumer
) -> None:
    producer = broker.producer("jobs")
    broker.producer("jobs").close()
    holder = broker.consumer("jobs")
    for priority in (0, 1023, 1024, 5, 5, 5):
        producer.put("x", priority)
    producer.put("late", delay=50)
    holder.reserve()
    for _ in range(2):
        holder.reserve().bury()
    holder.reserve().delete()
    with pytest.raises(NotFoundError):
        consumer.delete(1)  # a miss, which no tube counts
    broker.pause_tube("jobs", 7.5)
    clock.advance(2)
    expected = {
        "name": "jobs",
        "current_jobs_urgent": 1,
        "current_jobs_ready": 2,
        "current_jobs_reserved": 1,
        "current_jobs_delayed": 1,
        "current_jobs_buried": 2,
        "total_jobs": 7,
        "current_using": 1,
        "current_watching": 1,
        "current_waiting": 0,
        "cmd_delete": 1,
        "cmd_pause_tube": 1,
        "pause": 7.5,
        "pause_time_left": 5.5,
    }
    assert expected == asdict(broker.stats_tube("jobs"))


def test_every_field_of_the_broker(  # noqa: C901, PLR0912, PLR0915  # one per field
    clock: FakeClock,
) -> None:
    broker = Broker(clock=clock, max_job_size=99)
    producer = broker.producer("jobs")
    consumer = broker.consumer("jobs")
    broker.consumer().close()
    clock.advance(2.5)
    for _ in range(6):
        producer.put("x", 5)
    producer.put("x", 1024)
    producer.put("x", delay=50)
    with pytest.raises(JobTooBigError):
        producer.put("x" * 100)
    broker.peek(1)
    for _ in range(2):
        broker.peek_ready("jobs")
    for _ in range(3):
        broker.peek_delayed("jobs")
    for _ in range(4):
        with pytest.raises(NotFoundError):
            broker.peek_buried("jobs")
    first, second = consumer.reserve(), consumer.reserve(0)
    consumer.reserve(5)
    for _ in range(3):
        first.touch()
    second.bury()
    consumer.release(3)
    for job_id in (4, 4, 4):
        with pytest.raises(NotFoundError):
            consumer.release(job_id)
    for _ in range(2):
        with pytest.raises(NotFoundError):
            consumer.bury(4)
    broker.delete(4)
    for _ in range(5):
        with pytest.raises(NotFoundError):
            broker.delete(4)
    for _ in range(6):
        assert 0 == broker.kick("jobs", 0)
    broker.kick_job(2)  # counted nowhere
    consumer.reserve_job(2).bury()  # nor this, but the bury
    for _ in range(7):
        producer.use("jobs")
    consumer.watch("a", "b")
    consumer.ignore("a")
    for _ in range(2):
        consumer.ignore("nowhere")
    for _ in range(8):
        broker.stats_job(1)
    for _ in range(9):
        broker.stats_tube("jobs")
    for _ in range(2):
        broker.tubes()
        producer.using()
        consumer.watching()
    producer.using()
    consumer.watching()
    consumer.watching()
    broker.pause_tube("jobs", 1)
    with pytest.raises(NotFoundError):
        broker.pause_tube("nowhere", 1)
    broker.stats()
    clock.advance(60.25)  # the first reservation runs out, and the delay
    times = os.times()
    machine = os.uname()
    stats = broker.stats()
    expected = {
        "current_jobs_urgent": 4,
        "current_jobs_ready": 6,
        "current_jobs_reserved": 0,
        "current_jobs_delayed": 0,
        "current_jobs_buried": 1,
        "cmd_put": 9,
        "cmd_peek": 1,
        "cmd_peek_ready": 2,
        "cmd_peek_delayed": 3,
        "cmd_peek_buried": 4,
        "cmd_reserve": 1,
        "cmd_reserve_with_timeout": 2,
        "cmd_delete": 6,
        "cmd_release": 4,
        "cmd_use": 7,
        "cmd_watch": 2,
        "cmd_ignore": 3,
        "cmd_bury": 4,
        "cmd_kick": 6,
        "cmd_touch": 3,
        "cmd_stats": 2,
        "cmd_stats_job": 8,
        "cmd_stats_tube": 9,
        "cmd_list_tubes": 2,
        "cmd_list_tube_used": 3,
        "cmd_list_tubes_watched": 4,
        "cmd_pause_tube": 2,
        "job_timeouts": 1,
        "total_jobs": 8,
        "max_job_size": 99,
        "current_tubes": 3,
        "current_connections": 2,
        "current_producers": 1,
        "current_workers": 1,
        "current_waiting": 0,
        "total_connections": 3,
        "pid": os.getpid(),
        "version": inproc_tubes.__version__,
        "rusage_utime": pytest.approx(times.user, abs=60),
        "rusage_stime": pytest.approx(times.system, abs=60),
        "uptime": 62.75,
        "binlog_oldest_index": 0,
        "binlog_current_index": 0,
        "binlog_records_migrated": 0,
        "binlog_records_written": 0,
        "binlog_max_size": 10485760,
        "draining": False,
        "id": stats.id,
        "hostname": machine.nodename,
        "os": machine.version,
        "platform": machine.machine,
    }
    assert expected == asdict(stats)
    assert re.fullmatch("[0-9a-f]{16}", stats.id)
    assert stats.id != Broker().stats().id


def test_the_dicts_have_whole_seconds_where_beanstalkd_truncates(
    clock: FakeClock, broker: Broker, job: Job
) -> None:
    broker.pause_tube("default", 100)
    clock.advance(1.75)
    stats = job.stats()
    assert (1.75, 8.25) == (stats.age, stats.time_left)
    shown = stats.as_dict()
    assert ("1", "8") == (str(shown["age"]), str(shown["time-left"]))
    tube = broker.stats_tube("default").as_dict()
    assert ("100", "98") == (str(tube["pause"]), str(tube["pause-time-left"]))
    assert "1" == str(broker.stats().as_dict()["uptime"])


@pytest.mark.parametrize("where", ["reserved", "delayed"])
def test_a_fresh_reservation_or_delay_has_all_its_time_left(
    producer: Producer, consumer: Consumer, where: str
) -> None:
    producer.put("x", ttr=60)
    job = consumer.reserve()
    if where == "delayed":
        job.release(delay=60)
    assert (where, 60) == (job.stats().state, job.stats().time_left)


@pytest.mark.parametrize("where", ["ready", "buried"])
def test_a_job_that_no_time_runs_for_has_none_left(job: Job, where: str) -> None:
    if where == "buried":
        job.bury()
    else:
        job.release()
    assert (where, 0) == (job.stats().state, job.stats().time_left)


def test_statistics_of_what_is_not_there(broker: Broker) -> None:
    with pytest.raises(NotFoundError) as job:
        broker.stats_job(1)
    with pytest.raises(NotFoundError) as tube:
        broker.stats_tube("nowhere")
    assert (1, None) == (job.value.job_id, job.value.tube)
    assert (None, "nowhere") == (tube.value.job_id, tube.value.tube)
    assert ["default"] == broker.tubes()


def test_a_handle_is_a_producer_once_it_has_put_and_a_worker_once_it_has_reserved(
    broker: Broker, producer: Producer, consumer: Consumer
) -> None:
    def counts() -> tuple[int, int, int]:
        stats = broker.stats()
        return (
            stats.current_connections,
            stats.current_producers,
            stats.current_workers,
        )

    assert (2, 0, 0) == counts()
    producer.put("x")
    assert (2, 1, 0) == counts()
    assert ["x"] == bodies(consumer)
    assert (2, 1, 1) == counts()
    consumer.close()
    producer.close()
    assert (0, 0, 0) == counts()
    assert 2 == broker.stats().total_connections


# The job handle


def test_a_job_tells_of_itself(
    clock: FakeClock, broker: Broker, producer: Producer, consumer: Consumer
) -> None:
    body = object()
    producer.put(body, 7, 2, 30, tube="jobs")
    clock.advance(2)
    consumer.watch("jobs")
    job = consumer.reserve()
    assert job.body is body
    assert (1, "jobs", 7, 2, 30) == (job.id, job.tube, job.priority, job.delay, job.ttr)

    def counts() -> tuple[int, ...]:
        return job.reserves, job.timeouts, job.releases, job.buries, job.kicks

    assert (1, 0, 0, 0, 0) == counts()
    job.release(8, 3)
    assert (1, 0, 1, 0, 0) == counts()
    assert (8, 3) == (job.priority, job.delay)
    job = consumer.reserve_job(1)
    job.bury(9)
    assert (2, 0, 1, 1, 0) == counts()
    broker.kick_job(1)
    assert (2, 0, 1, 1, 1) == counts()
    job = consumer.reserve()
    clock.advance(30)
    assert 1 == consumer.reserve().id  # the verb that carries the expiry out
    assert (4, 1, 1, 1, 1) == counts()


@pytest.mark.parametrize(
    "name",
    [
        "id",
        "body",
        "tube",
        "priority",
        "delay",
        "ttr",
        "reserves",
        "timeouts",
        "releases",
        "buries",
        "kicks",
    ],
)
def test_what_a_job_tells_cannot_be_set(job: Job, name: str) -> None:
    with pytest.raises(AttributeError):
        setattr(job, name, 1)


def test_a_deleted_job_can_still_be_read(job: Job) -> None:
    job.delete()
    assert (1, "work", "default", 5) == (job.id, job.body, job.tube, job.priority)
    assert repr(job)
    with pytest.raises(NotFoundError):
        job.stats()


def test_the_repr_of_a_job(job: Job) -> None:
    assert "<Job 1 in 'default', reserved, priority 5: 'work'>" == repr(job)
    job.bury(9)
    assert "<Job 1 in 'default', buried, priority 9: 'work'>" == repr(job)


def test_the_repr_of_a_job_with_a_large_body_is_short(
    producer: Producer, consumer: Consumer
) -> None:
    producer.put("x" * 10_000)
    shown = repr(consumer.reserve())
    assert "xxx...xxx" in shown
    assert len(shown) < 200


def test_the_reprs_of_the_handles(
    broker: Broker, producer: Producer, consumer: Consumer, job: Job
) -> None:
    assert 1 == job.id
    consumer.watch("a")
    assert "<Broker: 1 jobs in 2 tubes, 0 consumers waiting>" == repr(broker)
    assert "<Producer: uses 'default'>" == repr(producer)
    assert "<Consumer: watches 'default', 'a', holds 1 jobs>" == repr(consumer)
    producer.close()
    consumer.close()
    assert "<Producer: the producer was closed>" == repr(producer)
    assert "<Consumer: the consumer was closed>" == repr(consumer)
    broker.close()
    assert "<Broker: the broker was closed>" == repr(broker)


@pytest.mark.parametrize("verb", [copy.copy, copy.deepcopy, pickle.dumps])
def test_no_handle_can_be_pickled_or_copied(
    verb: Callable[[object], object],
    broker: Broker,
    producer: Producer,
    consumer: Consumer,
    job: Job,
) -> None:
    for thing in (broker, producer, consumer, job):
        name = type(thing).__name__
        with pytest.raises(TypeError, match=f"^a {name} can be neither pickled nor"):
            verb(thing)


def test_two_handles_of_one_job_are_two_handles(broker: Broker, job: Job) -> None:
    peeked = broker.peek(job.id)
    assert job == job  # noqa: PLR0124  # on purpose
    assert job != peeked
    assert 2 == len({job, peeked})


# A job as a context manager


def test_a_block_that_is_left_normally_deletes(broker: Broker, job: Job) -> None:
    with job as same:
        assert job is same
        assert "reserved" == state(broker, 1)
    assert {} == broker._engine.jobs
    assert 1 == broker.stats_tube("default").cmd_delete


@pytest.mark.parametrize("error", [ZeroDivisionError, KeyboardInterrupt, NotFoundError])
def test_a_block_that_is_left_by_an_exception_buries(
    broker: Broker, job: Job, error: type[BaseException]
) -> None:
    with pytest.raises(error) as caught, job:
        raise error
    assert caught.value.__context__ is None
    stats = job.stats()
    assert ("buried", 1, 5) == (stats.state, stats.buries, stats.priority)
    assert 1 == broker.stats().cmd_bury


# What a block may do with its job, and the state that this leaves it in.
SETTLED = [
    pytest.param(lambda c, t: c.release(t), "ready", id="release"),
    pytest.param(lambda c, t: c.release(t, 9), "ready", id="release with priority"),
    pytest.param(lambda c, t: c.release(t, delay=5), "delayed", id="release delayed"),
    pytest.param(lambda c, t: c.bury(t), "buried", id="bury"),
]


@pytest.mark.parametrize("by", BY)
@pytest.mark.parametrize(("settle", "where"), SETTLED)
def test_what_the_block_itself_does_with_the_job_stands(
    broker: Broker,
    consumer: Consumer,
    job: Job,
    settle: Callable[[Consumer, Target], None],
    where: str,
    by: Callable[[Job], Target],
) -> None:
    with job:
        settle(consumer, by(job))
        before = broker.stats_job(1)
        assert where == before.state
    assert before == broker.stats_job(1)


@pytest.mark.parametrize("by", BY)
@pytest.mark.parametrize(("settle", "where"), SETTLED)
def test_what_a_block_did_stands_if_it_fails_afterwards(
    consumer: Consumer,
    job: Job,
    settle: Callable[[Consumer, Target], None],
    where: str,
    by: Callable[[Job], Target],
) -> None:
    def work() -> None:
        with job:
            settle(consumer, by(job))
            raise ZeroDivisionError

    with pytest.raises(ZeroDivisionError):
        work()
    assert where == job.stats().state


@pytest.mark.parametrize("by", BY)
def test_a_block_may_delete_its_job(
    broker: Broker, consumer: Consumer, job: Job, by: Callable[[Job], Target]
) -> None:
    with job:
        consumer.delete(by(job))
    assert 1 == broker.stats().cmd_delete


@pytest.mark.parametrize("by", BY)
def test_a_block_may_delete_its_job_and_then_fail(
    broker: Broker, consumer: Consumer, job: Job, by: Callable[[Job], Target]
) -> None:
    def work() -> None:
        with job:
            consumer.delete(by(job))
            raise ZeroDivisionError

    with pytest.raises(ZeroDivisionError):
        work()
    assert 0 == broker.stats().cmd_bury


@pytest.mark.parametrize("by", BY)
@pytest.mark.parametrize(("settle", "where"), SETTLED)
@pytest.mark.parametrize("same", [False, True])
def test_a_job_that_the_block_has_settled_may_be_reserved_before_the_block_ends(
    consumer: Consumer,
    other: Consumer,
    job: Job,
    settle: Callable[[Consumer, Target], None],
    where: str,
    same: bool,  # noqa: FBT001  # parametrised
    by: Callable[[Job], Target],
) -> None:
    """With many workers that is what will happen: the block is none the wiser."""
    with job:
        settle(consumer, by(job))
        assert where == job.stats().state
        again = (consumer if same else other).reserve_job(1)
    assert "reserved" == again.stats().state
    again.delete()


def test_a_job_that_the_block_has_released_may_expire_elsewhere_before_it_ends(
    clock: FakeClock, broker: Broker, other: Consumer, job: Job
) -> None:
    with job:
        job.release()
        other.reserve()
        clock.advance(10)
    assert ("ready", 1) == (state(broker, 1), job.timeouts)


def test_a_block_may_touch_its_job(clock: FakeClock, broker: Broker, job: Job) -> None:
    with job:
        clock.advance(9)
        job.touch()
        clock.advance(9)
    assert {} == broker._engine.jobs
    assert 0 == broker.stats().job_timeouts


def test_a_job_that_expired_in_the_block_and_that_nobody_has_yet_is_deleted(
    clock: FakeClock, broker: Broker, job: Job
) -> None:
    with job:
        clock.advance(10)
    assert {} == broker._engine.jobs
    assert 1 == job.timeouts


def test_a_job_that_expired_before_the_block_and_that_nobody_has_yet_is_deleted(
    clock: FakeClock, broker: Broker, job: Job
) -> None:
    clock.advance(10)
    assert "ready" == state(broker, 1)
    with job:
        pass
    assert {} == broker._engine.jobs


def test_a_job_that_expired_in_a_block_that_fails_stays_ready(
    clock: FakeClock, broker: Broker, job: Job
) -> None:
    with pytest.raises(ZeroDivisionError), job:  # noqa: PT012  # the block is the subject
        clock.advance(10)
        raise ZeroDivisionError
    assert ("ready", 0) == (state(broker, 1), job.buries)


@pytest.mark.parametrize("same", [False, True])
def test_a_block_whose_job_expired_and_is_somebody_elses_raises(
    clock: FakeClock,
    consumer: Consumer,
    other: Consumer,
    job: Job,
    same: bool,  # noqa: FBT001  # parametrised
) -> None:
    job.__enter__()
    clock.advance(10)
    again = (consumer if same else other).reserve()
    with pytest.raises(NotFoundError) as caught:
        job.__exit__(None, None, None)
    assert 1 == caught.value.job_id
    assert "reserved" == again.stats().state


def test_a_block_whose_job_expired_and_was_done_by_somebody_else_is_left_in_peace(
    clock: FakeClock, broker: Broker, other: Consumer, job: Job
) -> None:
    with job:
        clock.advance(10)
        other.reserve().delete()
    assert {} == broker._engine.jobs


def test_a_block_that_fails_after_its_job_was_claimed_is_left_by_its_own_exception(
    clock: FakeClock, broker: Broker, other: Consumer, job: Job
) -> None:
    with pytest.raises(ZeroDivisionError) as caught, job:  # noqa: PT012  # the block is the subject
        clock.advance(10)
        other.reserve()
        raise ZeroDivisionError
    assert caught.value.__context__ is None
    assert ("reserved", 0) == (state(broker, 1), job.buries)


@pytest.mark.parametrize("what", ["consumer", "broker"])
def test_a_block_in_which_the_queue_was_closed_hears_of_it(
    broker: Broker, consumer: Consumer, job: Job, what: str
) -> None:
    job.__enter__()
    (consumer if what == "consumer" else broker).close()
    with pytest.raises(ClosedError, match=f"^the {what} was closed$"):
        job.__exit__(None, None, None)


@pytest.mark.parametrize("what", ["consumer", "broker"])
def test_a_block_that_fails_after_the_queue_was_closed_is_left_by_its_own_exception(
    broker: Broker, consumer: Consumer, job: Job, what: str
) -> None:
    with pytest.raises(ZeroDivisionError) as caught, job:  # noqa: PT012  # the block is the subject
        (consumer if what == "consumer" else broker).close()
        raise ZeroDivisionError
    assert caught.value.__context__ is None


def test_a_job_may_be_entered_twice(broker: Broker, job: Job) -> None:
    with job, job:
        pass
    with job:
        pass
    assert 1 == broker.stats().cmd_delete


# Fencing

# How a reservation may end, and how the job comes to be reserved again.


def by_expiry(clock: FakeClock, broker: Broker, job: Job) -> None:  # noqa: ARG001
    clock.advance(10)


def by_release(clock: FakeClock, broker: Broker, job: Job) -> None:  # noqa: ARG001
    job.release()


def by_delay(clock: FakeClock, broker: Broker, job: Job) -> None:  # noqa: ARG001
    job.release(delay=5)
    clock.advance(5)


def by_burial(clock: FakeClock, broker: Broker, job: Job) -> None:  # noqa: ARG001
    job.bury()
    broker.kick("default", 1)


ENDS = [by_expiry, by_release, by_delay, by_burial]


def refusals(broker: Broker, consumer: Consumer, job: Job) -> None:
    """See to it that a handle can do nothing with its job."""
    verbs: list[Callable[[], object]] = [
        job.delete,
        job.release,
        job.bury,
        job.touch,
        job.stats,
    ]
    of_others: list[Callable[[Job], object]] = [
        consumer.delete,
        consumer.release,
        consumer.bury,
        consumer.touch,
        broker.delete,
        broker.kick_job,
        broker.stats_job,
    ]
    verbs += [lambda verb=verb: verb(job) for verb in of_others]  # type: ignore[misc]  # a default binds
    for verb in verbs:
        with pytest.raises(NotFoundError) as caught:
            verb()
        assert job.id == caught.value.job_id


@pytest.mark.parametrize("same", [False, True])
@pytest.mark.parametrize("end", ENDS)
def test_a_handle_is_a_strangers_once_the_job_is_reserved_again(
    clock: FakeClock,
    broker: Broker,
    consumer: Consumer,
    other: Consumer,
    job: Job,
    end: Callable[[FakeClock, Broker, Job], None],
    same: bool,  # noqa: FBT001  # parametrised
) -> None:
    end(clock, broker, job)
    again = (consumer if same else other).reserve(0)
    before = again.stats()
    for who in (consumer, other):
        refusals(broker, who, job)
    assert before == again.stats()
    # And it stays so, whatever becomes of the second reservation.
    again.release()
    refusals(broker, consumer, job)
    again.delete()
    refusals(broker, consumer, job)


def test_a_handle_is_a_strangers_once_a_closed_consumers_job_is_reserved_again(
    broker: Broker, consumer: Consumer, other: Consumer, job: Job
) -> None:
    consumer.close()
    again = other.reserve()
    for verb in (other.delete, other.release, other.bury, other.touch):
        with pytest.raises(NotFoundError):
            verb(job)
    with pytest.raises(NotFoundError):
        broker.stats_job(job)
    with pytest.raises(ClosedError):
        job.delete()
    again.delete()


@pytest.mark.parametrize("verb", ["delete", "release", "bury", "touch"])
@pytest.mark.parametrize("end", ENDS)
def test_a_plain_id_is_as_good_as_a_new_handle(
    clock: FakeClock,
    broker: Broker,
    consumer: Consumer,
    job: Job,
    end: Callable[[FakeClock, Broker, Job], None],
    verb: str,
) -> None:
    end(clock, broker, job)
    consumer.reserve(0)
    getattr(consumer, verb)(job.id)


@pytest.mark.parametrize("end", ENDS)
def test_until_the_job_is_reserved_again_the_old_owner_may_delete_it(
    clock: FakeClock,
    broker: Broker,
    job: Job,
    end: Callable[[FakeClock, Broker, Job], None],
) -> None:
    end(clock, broker, job)
    for verb in (job.release, job.bury, job.touch):
        with pytest.raises(NotFoundError):
            verb()
    assert "ready" == job.stats().state
    job.delete()
    assert {} == broker._engine.jobs


def test_an_expired_job_keeps_all_but_its_reservation(
    clock: FakeClock, broker: Broker, consumer: Consumer, job: Job
) -> None:
    clock.advance(10)
    stats = broker.stats_job(1)
    assert ("ready", 5, 1, 1, 0) == (
        stats.state,
        stats.priority,
        stats.reserves,
        stats.timeouts,
        stats.releases,
    )
    assert job.id == consumer.reserve(0).id


def test_a_handle_of_another_broker_is_no_handle_here(
    clock: FakeClock, broker: Broker, consumer: Consumer, job: Job
) -> None:
    stranger = Broker(clock=clock)
    stranger.producer().put("foreign")
    foreign = stranger.consumer().reserve()
    assert job.id == foreign.id
    for verb in (consumer.delete, consumer.release, consumer.bury, consumer.touch):
        with pytest.raises(NotFoundError):
            verb(foreign)
    for look in (broker.delete, broker.kick_job, broker.stats_job):
        with pytest.raises(NotFoundError):
            look(foreign)
    assert "reserved" == job.stats().state


# The end


def test_a_closed_producer_puts_no_more(broker: Broker) -> None:
    producer = broker.producer("jobs")
    producer.close()
    producer.close()
    verbs: list[Callable[[], object]] = [
        lambda: producer.put("x"),
        lambda: producer.put("x" * 65536),
        lambda: producer.use("jobs"),
        producer.using,
    ]
    for verb in verbs:
        with pytest.raises(ClosedError, match=r"^the producer was closed$"):
            verb()
    assert ["default"] == broker.tubes()


def test_a_closed_consumer_does_nothing_more(consumer: Consumer, job: Job) -> None:
    consumer.close()
    consumer.close()
    verbs: list[Callable[[], object]] = [
        consumer.reserve,
        lambda: consumer.reserve(0),
        lambda: consumer.reserve_job(1),
        lambda: consumer.delete(1),
        lambda: consumer.release(1),
        lambda: consumer.bury(1),
        lambda: consumer.touch(1),
        lambda: consumer.watch("a"),
        lambda: consumer.ignore("a"),
        consumer.watching,
        job.delete,
        job.release,
        job.bury,
        job.touch,
    ]
    for verb in verbs:
        with pytest.raises(ClosedError, match=r"^the consumer was closed$"):
            verb()
    # To look at a job takes no consumer.
    assert "ready" == job.stats().state


def test_a_closed_consumer_gives_its_jobs_back_and_no_counter_moves(
    producer: Producer, consumer: Consumer, other: Consumer
) -> None:
    for body in "abc":
        producer.put(body)
    jobs = [consumer.reserve() for _ in "abc"]
    consumer.close()
    assert [(1, 0, 0)] * 3 == [(j.reserves, j.timeouts, j.releases) for j in jobs]
    assert list("abc") == bodies(other)


def test_after_the_broker_every_verb_hears_that_it_was_closed(
    broker: Broker, producer: Producer, consumer: Consumer, job: Job
) -> None:
    broker.close()
    broker.close()
    producer.close()
    consumer.close()
    verbs: list[Callable[[], object]] = [
        lambda: producer.put("x"),
        lambda: producer.put("x" * 65536),
        lambda: producer.use("jobs"),
        producer.using,
        consumer.reserve,
        lambda: consumer.reserve(0),
        lambda: consumer.reserve_job(1),
        lambda: consumer.watch("a"),
        lambda: consumer.ignore("a"),
        consumer.watching,
        job.delete,
        job.release,
        job.bury,
        job.touch,
        job.stats,
        broker.producer,
        broker.consumer,
        broker.tubes,
        broker.stats,
        lambda: broker.stats_tube("default"),
        lambda: broker.stats_job(1),
        lambda: broker.peek(1),
        broker.peek_ready,
        broker.peek_delayed,
        broker.peek_buried,
        lambda: broker.kick("default", 1),
        lambda: broker.kick_job(1),
        lambda: broker.delete(1),
        lambda: broker.pause_tube("default", 1),
        broker.drain,
    ]
    for verb in verbs:
        with pytest.raises(ClosedError, match=r"^the broker was closed$"):
            verb()


def test_handles_and_brokers_close_at_the_end_of_their_blocks(
    clock: FakeClock,
) -> None:
    with Broker(clock=clock) as broker:
        with broker.producer() as producer, broker.consumer() as consumer:
            producer.put("x")
        for verb in (producer.using, consumer.watching):
            with pytest.raises(ClosedError):
                verb()
        assert "x" == broker.peek(1).body
    with pytest.raises(ClosedError):
        broker.tubes()


def test_a_block_does_not_swallow_what_it_is_left_by(clock: FakeClock) -> None:
    with (
        pytest.raises(ZeroDivisionError),
        Broker(clock=clock) as broker,
        broker.producer(),
        broker.consumer(),
    ):
        raise ZeroDivisionError
