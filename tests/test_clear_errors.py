"""What somebody is told who gives the wrong thing: the argument, and what it should be."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import pytest

from inproc_tubes import Broker
from inproc_tubes.logs import log_events
from inproc_tubes.protocol import ProtocolSession
from inproc_tubes.remote import RemoteBroker
from inproc_tubes.testing import (
    FakeClock,
    assert_empty,
    assert_put,
    drain,
    wait_until_waiting,
)
from inproc_tubes.worker import AsyncWorker, Worker

if TYPE_CHECKING:
    from collections.abc import Callable

# Mistakes that type checkers find, of users who have none.
FakeClockClass: Any = FakeClock
nothing: Any = None
number: Any = 7
text: Any = "x"
names: Any = ["a", "b"]
printing: Any = print


def no_broker(broker: Broker) -> Any:
    """Return what somebody may take for the broker."""
    return broker.producer()


MISTAKES: dict[str, Callable[[Broker], object]] = {
    "clock is an object, not a class: FakeClock()": lambda _: Broker(
        clock=FakeClockClass
    ),
    (
        "a tube's name is a str, not list: name several tubes one by one, as in "
        "consumer(*tubes)"
    ): lambda b: b.consumer(names),
    "bodies is an iterable of bodies, not NoneType": lambda b: b.producer().put_many(
        nothing
    ),
    "key is a function, not str": lambda b: b.producer().put_many(["a"], key=text),
    "the broker of the Worker is a Broker, not Producer": lambda b: Worker(
        no_broker(b)
    ),
    "the broker of the AsyncWorker is a Broker, not Producer": lambda b: AsyncWorker(
        no_broker(b)
    ),
    (
        "handlers is a mapping of tubes' names to functions, not "
        "builtin_function_or_method"
    ): lambda b: Worker(b, printing),
    "broker is a Broker, not Producer": lambda b: ProtocolSession(no_broker(b)),
    "broker is a Broker, not str": lambda _: assert_empty(text),
    "broker is a Broker, not NoneType": lambda _: assert_put(nothing, "default"),
    "handler is a function, not NoneType": lambda b: drain(b, "default", nothing),
    "broker is a Broker, not int": lambda _: log_events(number),
    "levels is a mapping, not int": lambda b: log_events(b, levels=number),
    "a RemoteBroker is made by connect()": lambda _: RemoteBroker(text),
    "n is an int, not str": lambda b: wait_until_waiting(b, text),
}


@pytest.mark.parametrize("message", MISTAKES)
def test_a_wrong_type_is_told_with_the_argument_and_nothing_has_changed(
    message: str,
) -> None:
    with Broker(clock=FakeClock()) as broker:
        broker.producer().put("body")
        with pytest.raises(TypeError) as caught:
            MISTAKES[message](broker)
        assert message == str(caught.value)
        assert ["body"] == [job.body for job in broker.jobs("default", "ready")]


def test_every_tool_of_a_test_wants_a_broker() -> None:
    with Broker() as broker:
        for tool in (
            lambda: drain(no_broker(broker), "default", print),
            lambda: wait_until_waiting(no_broker(broker), 0),
        ):
            with pytest.raises(TypeError, match=r"^broker is a Broker, not Producer$"):
                tool()


def test_so_many_cannot_wait() -> None:
    with (
        Broker() as broker,
        pytest.raises(ValueError, match=r"^n is 0 or more, not -1$"),
    ):
        wait_until_waiting(broker, -1)


def test_a_fake_clock_is_shown_to_the_second() -> None:
    clock = FakeClock()
    clock.advance(60.5)
    assert "<FakeClock at 1000060.5>" == repr(clock)
