"""What a test asks of a broker, and what it is told when the answer is no."""

from __future__ import annotations

import socket

import pytest

from inproc_tubes import BadTubeNameError, Broker, Job, NotFoundError
from inproc_tubes.fakes import FakeBeanstalkd
from inproc_tubes.testing import (
    FakeClock,
    assert_empty,
    assert_put,
    drain,
    refute_put,
)


def a_broker() -> Broker:
    return Broker(clock=FakeClock())


def a_filled_broker() -> Broker:
    broker = a_broker()
    orders = broker.producer("orders")
    broker.producer("emails").put("hello")
    orders.put({"sku": 7}, priority=5, delay=10, ttr=30)
    orders.put(None)
    return broker


THE_JOBS = (
    "  job 2 in 'orders': delayed, priority 5, delay 10, ttr 30, body {'sku': 7}\n"
    "  job 3 in 'orders': ready, priority 65536, delay 0, ttr 60, body None\n"
)
THE_EMAIL = "  job 1 in 'emails': ready, priority 65536, delay 0, ttr 60, body 'hello'"


def test_a_job_is_found_by_values() -> None:
    broker = a_filled_broker()
    job = assert_put(broker, "orders", body={"sku": 7}, priority=5, delay=10, ttr=30)
    assert 2 == job.id
    assert 3 == assert_put(broker, "orders", body=None).id
    assert 2 == assert_put(broker, "orders").id


def test_a_job_is_found_by_predicates() -> None:
    broker = a_filled_broker()
    job = assert_put(broker, "orders", priority=lambda p: p < 6, body=bool)
    assert 2 == job.id
    refute_put(broker, "orders", priority=lambda p: p > 70_000)


def test_all_that_is_given_applies_to_one_job() -> None:
    broker = a_filled_broker()
    refute_put(broker, "orders", body={"sku": 7}, priority=65536)


def test_a_body_that_is_a_function_is_found_and_not_called() -> None:
    broker = a_broker()
    broker.producer().put(pytest.fail)
    assert pytest.fail is assert_put(broker, "default", body=pytest.fail).body


def test_a_delay_may_differ_by_the_tolerance() -> None:
    broker = a_filled_broker()
    assert_put(broker, "orders", delay=10.5)
    refute_put(broker, "orders", delay=11)
    assert_put(broker, "orders", delay=12, tolerance=2)
    refute_put(broker, "orders", delay=10.5, tolerance=0)
    refute_put(broker, "orders", delay="10")


def test_a_job_counts_in_whatever_state_it_is() -> None:
    broker = a_filled_broker()
    consumer = broker.consumer("orders")
    job = consumer.reserve()
    assert_put(broker, "orders", body=None)
    job.bury()
    assert_put(broker, "orders", body=None)
    broker.delete(job)
    refute_put(broker, "orders", body=None)


def test_what_was_there_is_told_when_nothing_fits() -> None:
    with pytest.raises(AssertionError) as caught:
        assert_put(a_filled_broker(), "orders", body="x", ttr=1)
    title = "no job in 'orders' with body='x', ttr=1; there is\n"
    assert title + THE_JOBS + THE_EMAIL == str(caught.value)


def test_a_body_of_many_fields_is_told_whole_and_a_huge_one_is_not() -> None:
    broker = a_broker()
    fields = dict.fromkeys("abcdefghijklmnopqrst", 0)
    broker.producer().put(fields)
    broker.producer().put(list(range(21)))
    with pytest.raises(AssertionError) as caught:
        assert_empty(broker)
    _, first, second = str(caught.value).splitlines()
    assert first.endswith(f"body {fields}")
    assert second.endswith("18, 19, ...]")


def test_that_there_was_no_job_is_told() -> None:
    with pytest.raises(AssertionError) as caught:
        assert_put(a_broker(), "orders")
    assert "no job in 'orders'; there is\n  no job at all" == str(caught.value)


def test_the_jobs_that_should_not_be_there_are_told() -> None:
    with pytest.raises(AssertionError) as caught:
        refute_put(a_filled_broker(), "emails", body="hello")
    title = "a job in 'emails' with body='hello'; there is\n"
    assert title + THE_EMAIL == str(caught.value)


def test_a_wrong_tube_name_is_refused() -> None:
    with pytest.raises(BadTubeNameError):
        refute_put(a_broker(), "two words")


def test_an_empty_broker_is_empty_and_another_is_not() -> None:
    assert_empty(a_broker())
    broker = a_broker()
    for number in range(22):
        broker.producer().put(number)
    with pytest.raises(AssertionError) as caught:
        assert_empty(broker)
    title, *jobs, rest = str(caught.value).splitlines()
    assert "the broker is not empty; there is" == title
    assert 20 == len(jobs)
    assert "  and 2 more" == rest


def test_a_put_that_is_half_received_is_none_yet() -> None:
    address = ("127.0.0.1", 11300)
    with FakeBeanstalkd(address) as server, socket.create_connection(address) as client:
        client.sendall(b"put 0 0 60 4\r\nwo")
        assert_empty(server.broker)
        client.sendall(b"rk\r\n")
        assert_put(server.broker, "default", body=b"work")


def test_every_ready_job_is_run_and_what_became_of_it_is_counted() -> None:
    broker = a_broker()
    producer = broker.producer()
    error = ValueError()

    def handler(job: Job) -> None:
        if job.body == "fails":
            raise error
        if job.body == "later":
            job.release(delay=5)
        if job.body == "parent":
            producer.put("child")

    for body in ("parent", "fails", "later"):
        producer.put(body)
    assert (2, 1, 1, (error,)) == drain(broker, "default", handler)
    assert "fails" == broker.peek_buried().body
    assert "later" == broker.peek_delayed().body


def test_an_assertion_of_the_handler_fails_the_test() -> None:
    broker = a_broker()
    broker.producer().put("work")

    def handler(job: Job) -> None:
        raise AssertionError(job.body)

    with pytest.raises(AssertionError, match=r"^work$"):
        drain(broker, "default", handler)
    assert "work" == broker.peek_buried().body


def test_delayed_and_paused_jobs_wait_unless_time_is_moved_on_to_them() -> None:
    broker = a_broker()
    producer = broker.producer()
    producer.put("delayed", delay=60)
    producer.put("paused")
    broker.pause_tube("default", 10)
    ran = []

    def handler(job: Job) -> None:
        ran.append((job.body, broker._monitor.now() - 1_000_000))

    assert 0 == drain(broker, "default", handler).deleted
    assert 2 == drain(broker, "default", handler, with_delayed=True).deleted
    assert [("paused", 10), ("delayed", 60)] == ran
    assert_empty(broker)


def test_a_clock_that_cannot_be_moved_is_refused() -> None:
    with (
        Broker() as broker,
        pytest.raises(TypeError, match=r"^with_delayed moves a FakeClock, not a Mono"),
    ):
        drain(broker, "default", Job.delete, with_delayed=True)


def test_a_job_that_is_given_back_for_ever_is_told_and_kept() -> None:
    broker = a_broker()
    broker.producer().put("again")
    with pytest.raises(AssertionError, match=r"was given back 1000 times$"):
        drain(broker, "default", Job.release)
    assert "again" == broker.peek_ready().body
    with pytest.raises(NotFoundError):
        broker.peek_buried()


# Bodies whose == is no bool


class Elements:
    """What comes of a comparison: numpy's is another array."""

    def __init__(self, *elements: object) -> None:
        self._elements = elements

    def all(self) -> object:
        """Tell whether all of them are true, as an array without a dimension."""
        return Truth(value=all(self._elements))


class Truth:
    """A truth that is no bool, as numpy has them."""

    def __init__(self, *, value: bool) -> None:
        self._value = value

    def __bool__(self) -> bool:
        return self._value

    def all(self) -> Truth:
        """Return itself."""
        return self


class Array:
    """A numpy.ndarray, as far as it can be compared."""

    def __init__(self, *elements: object) -> None:
        self._elements = elements

    @property
    def shape(self) -> tuple[int, ...]:
        """How many there are in each dimension."""
        return (len(self._elements),)

    def __eq__(self, other: object) -> object:  # type: ignore[override]  # as numpy's
        theirs = other._elements if isinstance(other, Array) else [other] * 99
        return Elements(*(a == b for a, b in zip(self._elements, theirs, strict=False)))

    __hash__ = object.__hash__


class Table(Array):
    """A pandas.DataFrame: it cannot be compared with one that has other labels."""

    def __eq__(self, other: object) -> object:  # type: ignore[override]  # as pandas'
        message = "Can only compare identically-labeled objects"
        raise ValueError(message)

    __hash__ = object.__hash__


def put(body: object) -> Broker:
    broker = a_broker()
    broker.producer().put(body)
    return broker


@pytest.mark.parametrize(
    ("body", "wanted", "equal"),
    [
        (Array(1, 2), Array(1, 2), True),
        (Array(1, 2), Array(1, 3), False),
        (Array(), Array(), True),
        (Array(1, 2), Array(1), False),
        (Array(1, 1), 1, False),
        (1, Array(1, 1), False),
        (Array(1, 2), [1, 2], False),
        (Table(1), Table(1), False),
        ({"a": 1}, {"a": 1}, True),
    ],
)
def test_an_array_is_compared_with_one_of_its_shape_and_as_a_whole(
    body: object, wanted: object, *, equal: bool
) -> None:
    broker = put(body)
    check = assert_put if equal else refute_put
    check(broker, "default", body=wanted)


def test_the_same_array_need_not_be_compared() -> None:
    body = Table(1)
    assert_put(put(body), "default", body=body)


def test_a_comparison_without_any_truth_is_refused() -> None:
    class Query:
        """As those of an ORM, which are compared in a database."""

        def __eq__(self, other: object) -> object:  # type: ignore[override]  # as above
            return Query()

        __hash__ = None  # type: ignore[assignment]  # as above

        def __bool__(self) -> bool:
            raise TypeError

    message = r"^== of two Query is neither True nor False: give a function instead$"
    with pytest.raises(TypeError, match=message):
        assert_put(put(Query()), "default", body=Query())
    assert_put(put(Query()), "default", body=lambda body: isinstance(body, Query))


def test_an_error_of_a_comparison_is_an_error_of_the_test() -> None:
    class Broken:
        """It cannot be compared."""

        def __eq__(self, other: object) -> bool:
            raise ValueError

        __hash__ = None  # type: ignore[assignment]  # as above

    with pytest.raises(ValueError, match=r"^$"):
        refute_put(put(Broken()), "default", body=Broken())
