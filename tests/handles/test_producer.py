"""A producer: what may be put, with which numbers, and where."""

from __future__ import annotations

import gc
import weakref
from typing import TYPE_CHECKING, Any

import pytest

from inproc_tubes import Broker, Consumer, JobTooBigError, Producer
from tests.handles.shared import MOST, state

if TYPE_CHECKING:
    from collections.abc import Callable

    from inproc_tubes.testing import FakeClock

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


@pytest.mark.filterwarnings("ignore:.*a time of day:RuntimeWarning")
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


@pytest.mark.filterwarnings("ignore:.*a time of day:RuntimeWarning")
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
    """A body that must not be looked at."""

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
