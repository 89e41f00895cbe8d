"""What the handles refuse, and that a refusal leaves no trace in the broker."""

from __future__ import annotations

import inspect
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from decimal import Decimal
from fractions import Fraction
from math import inf, nan
from operator import attrgetter
from types import SimpleNamespace
from typing import Any, TypeAlias

import pytest

from inproc_tubes import (
    AsyncConsumer,
    AsyncProducer,
    BadTubeNameError,
    Broker,
    Consumer,
    EventKind,
    Job,
    JobState,
    JobTooBigError,
    NotFoundError,
    Producer,
)
from inproc_tubes.core.recovery import check
from inproc_tubes.testing import FakeClock
from tests.small_world import World


class NowOnly:
    """A clock that can tell the time and no more."""

    now = staticmethod(float)

    def __repr__(self) -> str:
        return "NowOnly()"


class FromWorld:
    """A value that only a world can give."""

    def __init__(self, name: str) -> None:
        self.name = name

    def __repr__(self) -> str:
        return f"World.{self.name}"


Values = list[tuple[Any, type[Exception]]]


def refused(error: type[Exception], *values: Any) -> Values:
    return [(value, error) for value in values]


NONE = refused(TypeError, None)
NO_NUMBERS = refused(
    TypeError,
    "1",
    b"1",
    True,  # noqa: FBT003  # not as a flag
    False,  # noqa: FBT003  # not as a flag
    1j,
    [1],
    object,
    Decimal(1),
    Fraction(1),
    int,
)
NO_ERRORS = refused(TypeError, "ValueError", 1, ValueError, object)
NO_SECONDS = [
    *NO_NUMBERS,
    *refused(ValueError, nan, inf, -inf, -1, -1e-9, 2**32, 2**32 - 0.5, 1e300, 10**400),
]
NO_TIMEOUTS = [*NO_SECONDS, *refused(ValueError, 2**31, 2**31 - 0.5)]
NO_INTEGERS = [
    *NO_NUMBERS,
    *refused(TypeError, 1.0, nan, inf),
    *refused(ValueError, -1, -(10**400)),
]
NO_PRIORITIES = [*NO_INTEGERS, *refused(ValueError, 2**32, 10**400)]
# Of which there is at least one.
NO_COUNTS = [*NO_INTEGERS, *NONE, *refused(ValueError, 0)]
NO_STATES = [
    *refused(TypeError, 1, 1.5, True, b"ready", ["ready"], object, JobState),  # noqa: FBT003  # not as a flag
    *refused(ValueError, "", "READY", "ready ", "invalid", JobState.INVALID, "x"),
]
NO_KEYS_BUT_NONE = [
    *refused(TypeError, 1, 1.5, True, b"key", ["key"], object),  # noqa: FBT003  # not as a flag
    *refused(ValueError, ""),
]
NO_KEYS = [*NO_KEYS_BUT_NONE, *NONE]
NO_MODES = [
    *refused(TypeError, None, 1, True, b"keep", ["keep"]),  # noqa: FBT003  # not as a flag
    *refused(ValueError, "", "KEEP", "keep ", "ignore"),
]
NO_KINDS = [
    *refused(TypeError, 1, 1.5, True, b"put", "put", object, EventKind.PUT),  # noqa: FBT003  # not as a flag
    *refused(TypeError, [1], ["put", None], {b"put": 1}),
    *refused(ValueError, [""], ["PUT"], ["put "], ["put", "x"]),
]
NO_FLAGS = refused(TypeError, None, 0, 1, "yes", [])
NO_LIVES = [*NO_SECONDS, *refused(ValueError, 0, 0.0)]
NO_HANDLES = refused(
    TypeError,
    *map(
        FromWorld,
        ("broker", "producer", "consumer", "clock", "job._holder", "job._body"),
    ),
)
NO_IDS = [
    *NO_INTEGERS,
    *NONE,
    *NO_HANDLES,
    *refused(ValueError, 2**64, 10**400),
]
NO_JOBS = [*NO_IDS, *refused(NotFoundError, FromWorld("foreign"))]
# Where a job's id is asked for, no handle of any kind will do.
NO_PLAIN_IDS = [*NO_IDS, *refused(TypeError, FromWorld("job"), FromWorld("foreign"))]
NO_TUBES_BUT_NONE = [
    *refused(TypeError, 1, 1.5, nan, True, b"jobs", ["jobs"], object),  # noqa: FBT003  # not as a flag
    *refused(
        BadTubeNameError,
        "",
        "-jobs",
        "a" * 201,
        "a" * 10_000,
        "\u00fc",
        "\N{FULLWIDTH DIGIT ONE}",
        "\ud800",
        "a b",
        "jobs\n",
        "a\x00b",
        "a:b",
        "a*b",
        "a,b",
    ),
]
NO_TUBES = [*NO_TUBES_BUT_NONE, *NONE]
NO_NAMES = [
    *refused(TypeError, 1, True, b"packer", ["packer"], object),  # noqa: FBT003  # not as a flag
    *refused(ValueError, ""),
]

Verb: TypeAlias = Callable[[World, Any], object]


def awaited(verb: Verb) -> Verb:
    """Have the twins of the handles do it, which are not to come as far as to wait."""

    def twin(world: World, value: Any) -> None:
        handles = SimpleNamespace(
            producer=world.async_producer,
            consumer=world.async_consumer,
            job=world.job,
        )
        verb(handles, value).send(None)  # type: ignore[arg-type,attr-defined]  # to it, a world

    return twin


# {verb.parameter: (the call, what it refuses)}
TABLE: dict[str, tuple[Verb, Values]] = {
    "Broker.__init__.clock": (
        lambda _, x: Broker(clock=x),
        refused(TypeError, 5, "clock", True, nan, object, FakeClock, NowOnly()),  # noqa: FBT003  # not as a flag
    ),
    "Broker.__init__.max_job_size": (
        lambda _, x: Broker(max_job_size=x),
        NO_INTEGERS,
    ),
    "Broker.producer.tube": (lambda w, x: w.broker.producer(x), NO_TUBES),
    "Broker.consumer.tubes": (
        lambda w, x: w.broker.consumer("new", x, "newer"),
        NO_TUBES,
    ),
    "Broker.async_producer.tube": (
        lambda w, x: w.broker.async_producer(x),
        NO_TUBES,
    ),
    "Broker.async_consumer.tubes": (
        lambda w, x: w.broker.async_consumer("new", x, "newer"),
        NO_TUBES,
    ),
    "Broker.producer.name": (lambda w, x: w.broker.producer("new", name=x), NO_NAMES),
    "Broker.consumer.name": (lambda w, x: w.broker.consumer("new", name=x), NO_NAMES),
    "Broker.async_producer.name": (
        lambda w, x: w.broker.async_producer("new", name=x),
        NO_NAMES,
    ),
    "Broker.async_consumer.name": (
        lambda w, x: w.broker.async_consumer("new", name=x),
        NO_NAMES,
    ),
    "Broker.stats_tube.tube": (lambda w, x: w.broker.stats_tube(x), NO_TUBES),
    "Broker.stats_job.job_or_id": (lambda w, x: w.broker.stats_job(x), NO_JOBS),
    "Broker.peek.job_id": (lambda w, x: w.broker.peek(x), NO_PLAIN_IDS),
    "Broker.peek_ready.tube": (lambda w, x: w.broker.peek_ready(x), NO_TUBES),
    "Broker.peek_delayed.tube": (lambda w, x: w.broker.peek_delayed(x), NO_TUBES),
    "Broker.peek_buried.tube": (lambda w, x: w.broker.peek_buried(x), NO_TUBES),
    "Broker.kick.tube": (lambda w, x: w.broker.kick(x, 1), NO_TUBES),
    "Broker.kick.bound": (
        lambda w, x: w.broker.kick("jobs", x),
        [*NO_INTEGERS, *NONE],
    ),
    "Broker.kick_job.job_or_id": (lambda w, x: w.broker.kick_job(x), NO_JOBS),
    "Broker.delete.job_or_id": (lambda w, x: w.broker.delete(x), NO_JOBS),
    "Broker.cancel.job_or_id": (lambda w, x: w.broker.cancel(x), NO_JOBS),
    "Broker.pause_tube.tube": (lambda w, x: w.broker.pause_tube(x, 1), NO_TUBES),
    "Broker.pause_tube.delay": (
        lambda w, x: w.broker.pause_tube("jobs", x),
        [*NO_SECONDS, *NONE],
    ),
    "Broker.move.job_or_id": (lambda w, x: w.broker.move(x, "other"), NO_JOBS),
    "Broker.move.tube": (lambda w, x: w.broker.move(4, x), NO_TUBES),
    "Broker.update.job_or_id": (lambda w, x: w.broker.update(x, 5), NO_JOBS),
    "Broker.update.priority": (lambda w, x: w.broker.update(4, x), NO_PRIORITIES),
    "Broker.update.delay": (lambda w, x: w.broker.update(4, delay=x), NO_SECONDS),
    "Broker.bury.job_or_id": (lambda w, x: w.broker.bury(x), NO_JOBS),
    "Broker.bury.priority": (lambda w, x: w.broker.bury(4, x), NO_PRIORITIES),
    "Broker.bury.error": (lambda w, x: w.broker.bury(4, error=x), NO_ERRORS),
    "Broker.limit_tries.tube": (lambda w, x: w.broker.limit_tries(x, 1), NO_TUBES),
    "Broker.limit_tries.n": (
        lambda w, x: w.broker.limit_tries("jobs", x),
        [*NO_INTEGERS, *refused(ValueError, 0)],
    ),
    "Broker.find.key": (lambda w, x: w.broker.find(x), NO_KEYS),
    "Broker.find.tube": (lambda w, x: w.broker.find("key", x), NO_TUBES),
    "Broker.limit_tube.tube": (lambda w, x: w.broker.limit_tube(x, 1), NO_TUBES),
    "Broker.limit_tube.maxsize": (
        lambda w, x: w.broker.limit_tube("jobs", x),
        [*NO_INTEGERS, *NONE],
    ),
    "Broker.jobs.tube": (lambda w, x: w.broker.jobs(x), NO_TUBES),
    "Broker.jobs.state": (lambda w, x: w.broker.jobs("jobs", x), NO_STATES),
    "Broker.clear_tube.tube": (lambda w, x: w.broker.clear_tube(x), NO_TUBES),
    "Broker.clear_tube.state": (
        lambda w, x: w.broker.clear_tube("jobs", x),
        [*NO_STATES, *refused(ValueError, "reserved", JobState.RESERVED)],
    ),
    "Broker.subscribe.callback": (
        lambda w, x: w.broker.subscribe(x),
        refused(TypeError, None, "print", 1, b"", [print]),
    ),
    "Broker.subscribe.kinds": (lambda w, x: w.broker.subscribe(print, x), NO_KINDS),
    "Broker.subscribe.bodies": (
        lambda w, x: w.broker.subscribe(print, bodies=x),
        NO_FLAGS,
    ),
    "Broker.events.kinds": (lambda w, x: w.broker.events(x), NO_KINDS),
    "Broker.events.buffer": (lambda w, x: w.broker.events(buffer=x), NO_COUNTS),
    "Broker.events.bodies": (lambda w, x: w.broker.events(bodies=x), NO_FLAGS),
    "Broker.join.tubes": (lambda w, x: w.broker.join("idle", x), NO_TUBES),
    "Broker.join.timeout": (
        lambda w, x: w.broker.join("idle", timeout=x),
        NO_TIMEOUTS,
    ),
    "Broker.async_join.tubes": (
        lambda w, x: w.broker.async_join("idle", x).send(None),
        NO_TUBES,
    ),
    "Broker.async_join.timeout": (
        lambda w, x: w.broker.async_join("idle", timeout=x).send(None),
        NO_TIMEOUTS,
    ),
    "Producer.put.body": (
        lambda w, x: w.producer.put(x),
        refused(
            JobTooBigError,
            "x" * 11,
            "\u00fc" * 6,
            "\N{PILE OF POO}" * 3,
            "\ud800" * 4,
            b"x" * 11,
            bytearray(11),
            memoryview(bytes(11)),
            memoryview(bytes(16)).cast("I"),
        ),
    ),
    "Producer.put.priority": (
        lambda w, x: w.producer.put("body", x),
        [*NO_PRIORITIES, *NONE],
    ),
    "Producer.put.delay": (
        lambda w, x: w.producer.put("body", delay=x),
        [*NO_SECONDS, *NONE],
    ),
    "Producer.put.ttr": (
        lambda w, x: w.producer.put("body", ttr=x),
        [*NO_SECONDS, *NONE],
    ),
    "Producer.put.tube": (
        lambda w, x: w.producer.put("body", tube=x),
        NO_TUBES_BUT_NONE,
    ),
    "Producer.put.key": (
        lambda w, x: w.producer.put("body", key=x),
        NO_KEYS_BUT_NONE,
    ),
    "Producer.put.on_duplicate": (
        lambda w, x: w.producer.put("body", on_duplicate=x),
        NO_MODES,
    ),
    "Producer.put.expires": (
        lambda w, x: w.producer.put("body", expires=x),
        NO_LIVES,
    ),
    "Producer.put_many.expires": (
        lambda w, x: w.producer.put_many(["a", "b"], expires=x),
        NO_LIVES,
    ),
    "Producer.put_many.key": (
        lambda w, x: w.producer.put_many(["a", "b"], key=x),
        refused(TypeError, "key", 1, lambda _: 1, lambda _: b"key", len),
    ),
    "Producer.put_many.on_duplicate": (
        lambda w, x: w.producer.put_many(["a", "b"], on_duplicate=x),
        NO_MODES,
    ),
    "Producer.put.timeout": (
        lambda w, x: w.producer.put("body", timeout=x),
        NO_TIMEOUTS,
    ),
    "Producer.submit.body": (
        lambda w, x: w.producer.submit(x),
        refused(JobTooBigError, "x" * 11, b"x" * 11),
    ),
    "Producer.submit.priority": (
        lambda w, x: w.producer.submit("body", x),
        [*NO_PRIORITIES, *NONE],
    ),
    "Producer.submit.delay": (
        lambda w, x: w.producer.submit("body", delay=x),
        [*NO_SECONDS, *NONE],
    ),
    "Producer.submit.ttr": (
        lambda w, x: w.producer.submit("body", ttr=x),
        [*NO_SECONDS, *NONE],
    ),
    "Producer.submit.tube": (
        lambda w, x: w.producer.submit("body", tube=x),
        NO_TUBES_BUT_NONE,
    ),
    "Producer.submit.timeout": (
        lambda w, x: w.producer.submit("body", timeout=x),
        NO_TIMEOUTS,
    ),
    "Producer.submit.key": (
        lambda w, x: w.producer.submit("body", key=x),
        NO_KEYS_BUT_NONE,
    ),
    "Producer.submit.on_duplicate": (
        lambda w, x: w.producer.submit("body", on_duplicate=x),
        [*NO_MODES, *refused(ValueError, "keep")],
    ),
    "Producer.submit.expires": (
        lambda w, x: w.producer.submit("body", expires=x),
        NO_LIVES,
    ),
    "Producer.put_many.bodies": (
        lambda w, x: w.producer.put_many(x),
        [
            *NONE,
            *refused(TypeError, 1, object, "abc", b"abc", bytearray(b"abc")),
            *refused(TypeError, memoryview(b"abc"), {}, {"a": 1}, ""),
            *refused(JobTooBigError, ["x", b"x" * 11, "y"], ["\u00fc" * 6]),
            *refused(JobTooBigError, [memoryview(bytes(16)).cast("Q")]),
        ],
    ),
    "Producer.put_many.priority": (
        lambda w, x: w.producer.put_many(["a", "b"], x),
        [*NO_PRIORITIES, *NONE],
    ),
    "Producer.put_many.delay": (
        lambda w, x: w.producer.put_many(["a", "b"], delay=x),
        [*NO_SECONDS, *NONE],
    ),
    "Producer.put_many.ttr": (
        lambda w, x: w.producer.put_many(["a", "b"], ttr=x),
        [*NO_SECONDS, *NONE],
    ),
    "Producer.put_many.tube": (
        lambda w, x: w.producer.put_many(["a", "b"], tube=x),
        NO_TUBES_BUT_NONE,
    ),
    "Producer.put_many.timeout": (
        lambda w, x: w.producer.put_many(["a", "b"], timeout=x),
        NO_TIMEOUTS,
    ),
    "Producer.use.tube": (lambda w, x: w.producer.use(x), NO_TUBES),
    "Consumer.watch.tubes": (lambda w, x: w.consumer.watch("new", x), NO_TUBES),
    "Consumer.ignore.tube": (lambda w, x: w.consumer.ignore(x), NO_TUBES),
    "Consumer.reserve.timeout": (lambda w, x: w.consumer.reserve(x), NO_TIMEOUTS),
    "Consumer.reserve_many.n": (lambda w, x: w.consumer.reserve_many(x), NO_COUNTS),
    "Consumer.reserve_many.timeout": (
        lambda w, x: w.consumer.reserve_many(2, x),
        NO_TIMEOUTS,
    ),
    "Consumer.reserve_job.job_id": (
        lambda w, x: w.consumer.reserve_job(x),
        NO_PLAIN_IDS,
    ),
    "Consumer.delete.job_or_id": (lambda w, x: w.consumer.delete(x), NO_JOBS),
    "Consumer.release.job_or_id": (lambda w, x: w.consumer.release(x), NO_JOBS),
    "Consumer.release.priority": (
        lambda w, x: w.consumer.release(w.job, x),
        NO_PRIORITIES,
    ),
    "Consumer.release.delay": (
        lambda w, x: w.consumer.release(w.job, delay=x),
        [*NO_SECONDS, *NONE],
    ),
    "Consumer.release.error": (
        lambda w, x: w.consumer.release(w.job, error=x),
        NO_ERRORS,
    ),
    "Consumer.release.tube": (
        lambda w, x: w.consumer.release(w.job, tube=x),
        NO_TUBES_BUT_NONE,
    ),
    "Consumer.bury.job_or_id": (lambda w, x: w.consumer.bury(x), NO_JOBS),
    "Consumer.bury.priority": (lambda w, x: w.consumer.bury(w.job, x), NO_PRIORITIES),
    "Consumer.bury.error": (
        lambda w, x: w.consumer.bury(w.job, error=x),
        NO_ERRORS,
    ),
    "Consumer.touch.job_or_id": (lambda w, x: w.consumer.touch(x), NO_JOBS),
    "Job.release.priority": (lambda w, x: w.job.release(priority=x), NO_PRIORITIES),
    "Job.release.delay": (
        lambda w, x: w.job.release(delay=x),
        [*NO_SECONDS, *NONE],
    ),
    "Job.release.tube": (lambda w, x: w.job.release(tube=x), NO_TUBES_BUT_NONE),
    "Job.release.error": (lambda w, x: w.job.release(error=x), NO_ERRORS),
    "Job.bury.priority": (lambda w, x: w.job.bury(priority=x), NO_PRIORITIES),
    "Job.bury.error": (lambda w, x: w.job.bury(error=x), NO_ERRORS),
    "Job.fail.error": (lambda w, x: w.job.fail(x), [*NO_ERRORS, *NONE]),
    "Job.fail.priority": (
        lambda w, x: w.job.fail(ValueError(), priority=x),
        NO_PRIORITIES,
    ),
    "FakeClock.__init__.start": (
        lambda _, x: FakeClock(x),
        [
            *refused(TypeError, "1", True, 1j, object),  # noqa: FBT003  # not as a flag
            *refused(ValueError, nan, inf, -inf),
        ],
    ),
    "FakeClock.__init__.grace": (
        lambda _, x: FakeClock(grace=x),
        [
            *NONE,
            *refused(TypeError, "1", True, 1j, object),  # noqa: FBT003  # as above
            *refused(ValueError, nan, -1, -inf),
        ],
    ),
    "FakeClock.__init__.wall": (
        lambda _, x: FakeClock(wall=x),
        refused(TypeError, 1, "2030-01-01", object()),
    ),
    "FakeClock.drive.loop": (
        lambda w, x: w.clock.drive(x),
        refused(TypeError, 1, "loop", object()),
    ),
    "FakeClock.advance.seconds": (
        lambda w, x: w.clock.advance(x),
        [*NO_SECONDS, *NONE],
    ),
}

TABLE |= {
    f"Async{name}": (awaited(verb), values)
    for name, (verb, values) in TABLE.items()
    if name.startswith(("Producer.", "Consumer."))
}

# What any value will do for, and what only a broker calls.
UNCHECKED = {
    "AsyncConsumer.reserve.default",
    "Broker.async_consumer.body",
    "Broker.async_producer.body",
    "Broker.async_producer.context",
    "Broker.consumer.body",
    "Broker.producer.body",
    "Broker.producer.context",
    "Consumer.reserve.default",
    "Job.finish.result",
    "FakeClock.__init__.autojump",
    "FakeClock.__init__.loop_time",
    "FakeClock.attach",
    "FakeClock.park",
    "FakeClock.seconds_until",
}

# {verb: what counts a NOT_FOUND}. Each counts one.
COUNTED_THOUGH_NOT_FOUND = {
    "bury": "bury",
    "cancel": None,  # as "kick_job"
    "delete": "other_deletes",
    "kick_job": None,  # the server does not count this command at all
    "move": None,  # nor does it know these
    "update": None,
    "release": "release",
    "stats_job": "stats_job",
    "touch": "touch",
}

CASES = [
    # Numbered, and cut before a repr comes to an address: the same in every run.
    pytest.param(name, value, error, id=f"{name}-{number}={ascii(value)[:12]}")
    for name, (_, values) in TABLE.items()
    for number, (value, error) in enumerate(values)
]


class Untouched:
    """A world for all that changes nothing, made anew if something did after all."""

    def __init__(self) -> None:
        self._spare: list[tuple[World, Any]] = []

    @contextmanager
    def lend(self) -> Iterator[World]:
        """Lend the world, and check that it is as before in the end."""
        if self._spare:
            world, before = self._spare.pop()
        else:
            world = World.new()
            before = world.snapshot()
        yield world
        assert before == world.snapshot()
        check(world.broker._engine)
        self._spare.append((world, before))


@pytest.fixture(scope="module")
def untouched() -> Untouched:
    return Untouched()


@pytest.mark.parametrize(("name", "value", "error"), CASES)
def test_bad_input_is_refused_and_changes_nothing(
    untouched: Untouched, name: str, value: Any, error: type[Exception]
) -> None:
    with untouched.lend() as world:
        if isinstance(value, FromWorld):
            value = attrgetter(value.name)(world)
        with pytest.raises(error) as caught:
            TABLE[name][0](world, value)
        assert error is type(caught.value)
        take_back_the_count(world.broker, name, value, error)


def test_a_world_that_was_changed_is_noticed_and_not_lent_again() -> None:
    untouched = Untouched()
    with untouched.lend() as first:
        pass
    with pytest.raises(AssertionError), untouched.lend() as second:
        second.producer.put("x")
    with untouched.lend() as third:
        assert first is second is not third


def take_back_the_count(
    broker: Broker, name: str, value: Any, error: type[Exception]
) -> None:
    """Undo what a refusal may change: beanstalkd counts some commands all the same."""
    counts = broker._engine.counts
    if error is JobTooBigError:
        # JOB_TOO_BIG moves cmd-put, and takes no id.
        many = name.endswith("Producer.put_many.bodies")
        counts.other_puts -= len(value) if many else 1
    if error is NotFoundError:
        cls, verb, _ = name.split(".")
        # The server knows no "bury" of a job that nobody holds.
        is_known = (cls, verb) != ("Broker", "bury")
        if (counter := COUNTED_THOUGH_NOT_FOUND[verb]) and is_known:
            setattr(counts, counter, getattr(counts, counter) - 1)


def test_the_table_has_every_parameter_of_every_public_verb() -> None:
    found = set()
    for cls in (
        Broker,
        Producer,
        Consumer,
        AsyncProducer,
        AsyncConsumer,
        Job,
        FakeClock,
    ):
        for name, verb in inspect.getmembers(cls, inspect.isfunction):
            own = name == "__init__" and cls in {Broker, FakeClock}
            if f"{cls.__name__}.{name}" not in UNCHECKED and (
                own or not name.startswith("_")
            ):
                parameters = list(inspect.signature(verb).parameters)[1:]
                found |= {f"{cls.__name__}.{name}.{p}" for p in parameters}
    assert found - UNCHECKED == set(TABLE)


@pytest.mark.parametrize(
    "change",
    [
        pytest.param(lambda w: w.producer.put("x"), id="put"),
        pytest.param(lambda w: w.producer.use("new"), id="use"),
        pytest.param(lambda w: w.consumer.watch("new"), id="watch"),
        pytest.param(lambda w: w.consumer.reserve(0), id="reserve"),
        pytest.param(lambda w: w.job.touch(), id="touch"),
        pytest.param(lambda w: w.job.bury(), id="bury"),
        pytest.param(lambda w: w.broker.kick("jobs", 1), id="kick"),
        pytest.param(lambda w: w.broker.delete(4), id="delete"),
        pytest.param(lambda w: w.broker.cancel(w.job), id="cancel"),
        pytest.param(lambda w: w.broker.pause_tube("jobs", 1), id="pause_tube"),
        pytest.param(lambda w: w.broker.limit_tube("narrow", 2), id="limit_tube"),
        pytest.param(lambda w: w.broker.clear_tube("jobs"), id="clear_tube"),
        pytest.param(lambda w: w.broker.drain(), id="drain"),
        pytest.param(lambda w: w.broker.tubes(), id="tubes"),
        pytest.param(lambda w: w.clock.advance(1), id="advance"),
    ],
)
def test_the_snapshot_shows_what_a_verb_does(change: Callable[[World], object]) -> None:
    world = World.new()
    before = world.snapshot()
    assert before == world.snapshot()
    change(world)
    assert before != world.snapshot()


def test_two_worlds_that_are_made_alike_look_alike() -> None:
    assert World.new().snapshot() == World.new().snapshot()


def test_a_wrong_argument_is_named_before_a_closed_handle_is() -> None:
    world = World.new()
    world.producer.close()
    with pytest.raises(TypeError, match=r"^priority is an int, not str$"):
        world.producer.put("body", "urgent")  # type: ignore[arg-type]  # on purpose


@pytest.mark.parametrize(
    ("call", "message"),
    [
        (lambda w: w.producer.put("x", -1), "priority is from 0 to 4294967295, not -1"),
        (
            lambda w: w.producer.put("x", delay=nan),
            "delay is from 0 to 4294967295 seconds, not nan",
        ),
        (
            lambda w: w.producer.put("x", ttr=-2),
            "ttr is from 0 to 4294967295 seconds, not -2",
        ),
        (
            lambda w: w.consumer.reserve(2**31),
            "timeout is from 0 to 2147483647 seconds, not 2147483648",
        ),
        (lambda w: w.broker.kick("jobs", -1), "bound is 0 or more, not -1"),
        (
            lambda w: w.broker.peek(2**64),
            "a job id is from 0 to 18446744073709551615, not 18446744073709551616",
        ),
    ],
)
def test_the_message_names_the_parameter_the_range_and_the_value(
    call: Callable[[World], object], message: str
) -> None:
    with pytest.raises(ValueError, match="^" + message):
        call(World.new())
