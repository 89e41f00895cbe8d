"""What a worker is told, and what it tells."""

from __future__ import annotations

import contextvars
import functools
import logging
from typing import TYPE_CHECKING, Any

import pytest

from inproc_tubes import BadTubeNameError, Broker, Job
from inproc_tubes.worker import AsyncWorker, Backoff, Bury, Worker
from tests.worker.test_outcomes import Broken, Script

if TYPE_CHECKING:
    from tests.worker.kinds import Kind, Lines

WORKERS: list[Any] = [Worker, AsyncWorker]

# The log


def test_each_thing_that_happens_is_one_line(kind: Kind, lines: Lines) -> None:
    script = Script(ValueError("too\nheavy"), ValueError("again"), Bury("no way"))
    worker = kind.worker(
        {"default": script}, retry=Backoff(first=10, jitter=0, max_tries=2)
    )
    with kind.entered(worker):
        kind.put("SECRET")
        kind.wait_until_idle()
        kind.clock.advance(10)
        kind.wait_until_idle()
        kind.put("SECRET TOO")
        kind.wait_until_idle()
    name = type(worker).__name__
    what = "thread" if name == "Worker" else "task"
    job = "job 1 in 'default'"
    assert [
        ("INFO", f"{name} for 'default' started with 1 {what}"),
        ("WARNING", f"{job} failed (try 1 of 2), again in 10 s: ValueError: too heavy"),
        ("ERROR", f"{job} failed (try 2 of 2) and is buried: ValueError: again"),
        (
            "ERROR",
            "job 2 in 'default' failed (try 1 of 2) and is buried: "  # noqa: ISC004 - one
            "inproc_tubes.worker.Bury: no way",
        ),
        ("INFO", f"{name} stopped"),
    ] == lines.lines
    assert [False, False, True, True, False] == [
        bool(record.exc_info) for record in lines.records
    ]
    assert "SECRET" not in str([record.__dict__ for record in lines.records])


def test_bodies_are_logged_shortened_if_somebody_asks_for_them(
    kind: Kind, lines: Lines
) -> None:
    script = Script(*[ValueError()] * 2)
    worker = kind.worker(
        {"default": script}, log_bodies=True, retry=Backoff(max_tries=None)
    )
    with kind.entered(worker):
        kind.put("scarf", "x" * 10_000)
        kind.wait_until_idle()
    first, second = lines.of("WARNING")
    assert first.startswith(
        "job 1 in 'default' with body 'scarf' failed (try 1), again"
    )
    assert 200 < len(second) < 400


def test_what_ends_the_worker_is_logged_with_its_traceback(
    kind: Kind, lines: Lines
) -> None:
    future = kind.start(kind.worker({"default": Script(Broken("gone"))}))
    kind.put("scarf")
    with pytest.raises(Broken):
        future.result(10)
    name = "AsyncWorker" if kind.is_async else "Worker"
    headline = "tests.worker.test_outcomes.Broken: gone"
    assert [f"{name} ends by {headline}"] == lines.of("CRITICAL")
    assert f"job 1 in 'default' is given back: {headline}" in lines.of("INFO")


class TooLateError(Exception):
    """What a handler raises that has settled its job."""


def test_a_handler_that_fails_after_it_has_settled_its_job_is_told_of(
    kind: Kind, lines: Lines
) -> None:
    def settle_and_fail(job: Job) -> None:
        job.delete()
        raise TooLateError

    with kind.entered(kind.worker({"default": settle_and_fail})):
        kind.put("scarf")
        kind.wait_until_idle()
    line = "job 1 in 'default' was out of its handler's hands, which failed then: "
    assert [f"{line}tests.worker.test_telling.TooLateError"] == lines.of("ERROR")


def test_an_exception_that_cannot_be_printed_does_no_harm(
    kind: Kind, lines: Lines
) -> None:
    class UnprintableError(Exception):
        def __str__(self) -> str:
            raise RuntimeError

        __repr__ = __str__

    with kind.entered(kind.worker({"default": Script(UnprintableError())}, retry=None)):
        kind.put("scarf")
        kind.wait_until_idle()
        assert {"scarf": "buried"} == kind.states()
    (line,) = lines.of("ERROR")
    assert "UnprintableError" in line


class DiskFullError(OSError):
    """What a log handler may raise."""


class Refusing(logging.Handler):
    """Cannot write the lines of one level."""

    def emit(self, record: logging.LogRecord) -> None:
        if record.levelno == logging.WARNING:
            raise DiskFullError


def test_a_log_that_cannot_be_written_ends_the_worker_and_is_raised(
    kind: Kind,
) -> None:
    logger = logging.getLogger("inproc_tubes.worker")
    logger.addHandler(handler := Refusing())
    try:
        future = kind.start(kind.worker({"default": Script(ValueError())}))
        kind.put("scarf")
        with pytest.raises(DiskFullError):
            future.result(10)
    finally:
        logger.removeHandler(handler)
    assert {"scarf": "delayed"} == kind.states()


def test_a_keeper_that_cannot_write_its_log_ends_the_worker(
    kind: Kind,
) -> None:
    logger = logging.getLogger("inproc_tubes.worker")
    logger.addHandler(handler := Refusing())
    try:
        worker = kind.gated()
        future = kind.start(worker)
        kind.put("scarf")
        kind.gate.wait_for_job()
        worker.stop(timeout=0)
        with pytest.raises(DiskFullError):
            future.result(10)
    finally:
        logger.removeHandler(handler)
    assert {"scarf": "ready"} == kind.states()


# The context


REQUEST: contextvars.ContextVar[str] = contextvars.ContextVar("REQUEST", default="none")


def test_a_handler_runs_in_the_context_of_the_put_if_that_was_kept(kind: Kind) -> None:
    seen: list[str] = []

    def note(_job: Job) -> None:
        seen.append(REQUEST.get())
        REQUEST.set("the handler's own")

    with kind.entered(kind.worker({"default": note})):
        for kept in (True, False, True):
            producer = kind.broker.producer(context=kept)
            contextvars.copy_context().run(
                lambda producer=producer: (REQUEST.set("7"), producer.put("scarf"))  # type: ignore[misc]  # its own
            )
            kind.wait_until_idle()
    assert ["7", "none", "7"] == seen


def test_an_empty_context_is_one_too(kind: Kind) -> None:
    seen: list[str] = []
    producer = kind.broker.producer(context=True)

    def run() -> None:
        REQUEST.set("the worker's")
        worker = Worker(
            kind.broker, {"default": lambda _: seen.append(REQUEST.get())}, threads=0
        )
        worker.run_pending()

    contextvars.Context().run(producer.put, "scarf")
    contextvars.copy_context().run(run)
    assert ["none"] == seen


# Its handlers


def test_a_decorated_function_stays_what_it_was(kind: Kind) -> None:
    def pack(job: Job) -> None: ...

    assert pack is kind.worker().handles("orders")(pack)


@pytest.mark.parametrize("kind_of_worker", WORKERS)
def test_a_wrong_handler_is_refused(kind_of_worker: Any, broker: Broker) -> None:
    worker = kind_of_worker(broker, {"orders": print})
    with pytest.raises(
        ValueError, match=r"^the jobs of 'orders' have a handler already$"
    ):
        worker.handles("emails", "orders")(print)
    with pytest.raises(TypeError, match=r"^a handler is a function, not int$"):
        worker.handles("emails")(7)
    with pytest.raises(BadTubeNameError):
        worker.handles("no tube")
    with pytest.raises(
        TypeError, match=r"^a tube's name is a str, not builtin_function"
    ):
        worker.handles(print)
    with pytest.raises(TypeError, match=r"^a handler is for one tube at least$"):
        worker.handles()
    with pytest.raises(TypeError, match=r"^retry is a Backoff or None, not int$"):
        worker.handles("emails", retry=5)(print)
    assert repr(worker).startswith(f"<{kind_of_worker.__name__} for 'orders' with")
    worker.handles("emails")(print)


async def coroutine_function(job: Job) -> None:
    """Do nothing."""


class Callable:
    async def __call__(self, job: Job) -> None: ...


@pytest.mark.parametrize(
    "function",
    [coroutine_function, functools.partial(coroutine_function), Callable()],
)
def test_a_coroutine_function_is_not_for_threads(broker: Broker, function: Any) -> None:
    worker = Worker(broker)
    with pytest.raises(TypeError, match=r"is a coroutine function: that is for AsyncW"):
        worker.handles("orders")(function)
    AsyncWorker(broker, {"orders": function})


def test_a_function_that_returns_a_coroutine_fails_in_threads(
    broker: Broker,
) -> None:
    handlers = {"default": lambda job: coroutine_function(job)}  # noqa: PLW0108 - plain
    worker = Worker(broker, handlers, threads=0, retry=None)
    broker.producer().put("scarf")
    worker.run_pending()
    job = broker.peek_buried()
    assert job.error is not None
    assert job.error.text.startswith("the handler has returned a coroutine")


@pytest.mark.parametrize("kind_of_worker", WORKERS)
@pytest.mark.parametrize(
    ("arguments", "error", "message"),
    [
        ({"broker": "x"}, TypeError, " is a Broker, not str$"),
        ({"handlers": {"no tube": print}}, BadTubeNameError, "is not a tube name"),
        ({"handlers": {"orders": 7}}, TypeError, "^a handler is a function, not int$"),
        ({"retry": 5}, TypeError, "^retry is a Backoff or None, not int$"),
        ({"max_runtime": -1}, ValueError, "^max_runtime is from 0 to"),
        ({"max_runtime": "1"}, TypeError, "^max_runtime is an int or a float"),
        ({"stop_timeout": -1}, ValueError, "^timeout is from 0 to"),
        ({"stop_timeout": "1"}, TypeError, "^timeout is an int or a float"),
    ],
)
def test_a_wrong_argument_is_refused(
    kind_of_worker: Any,
    broker: Broker,
    arguments: dict[str, Any],
    error: type[Exception],
    message: str,
) -> None:
    with pytest.raises(error, match=message):
        kind_of_worker(**{"broker": broker, **arguments})


def test_a_wrong_number_of_threads_or_tasks_is_refused(broker: Broker) -> None:
    with pytest.raises(ValueError, match=r"^threads is from 0 to"):
        Worker(broker, threads=-1)
    with pytest.raises(TypeError, match=r"^threads is an int"):
        Worker(broker, threads=None)  # type: ignore[arg-type]  # on purpose
    with pytest.raises(ValueError, match=r"^tasks is 1 or more, not 0$"):
        AsyncWorker(broker, tasks=0)


def test_a_wrong_timeout_of_a_stop_is_refused(kind: Kind) -> None:
    worker = kind.gated()
    with kind.entered(worker):
        with pytest.raises(ValueError, match=r"^timeout is from 0 to"):
            worker.stop(timeout=-1)
        kind.put("scarf")
        kind.gate.wait_for_job()
        kind.gate.open()


@pytest.mark.parametrize("kind_of_worker", WORKERS)
def test_a_wrong_periodic_job_is_refused(kind_of_worker: Any, broker: Broker) -> None:
    worker = kind_of_worker(broker)
    with pytest.raises(ValueError, match=r"^seconds is more than 0$"):
        worker.every(0, "reports", None)
    with pytest.raises(TypeError, match=r"^seconds is an int or a float"):
        worker.every("60", "reports", None)
    with pytest.raises(BadTubeNameError):
        worker.every(60, "no tube", None)
    with pytest.raises(ValueError, match=r"^priority is from 0 to"):
        worker.every(60, "reports", None, priority=-1)
    with pytest.raises(ValueError, match=r"^ttr is from 0 to"):
        worker.every(60, "reports", None, ttr=-1)
    assert [] == worker._settings.periodic


def test_a_worker_that_runs_is_told_nothing_new(kind: Kind) -> None:
    worker = kind.gated()
    with kind.entered(worker):
        with pytest.raises(RuntimeError, match=r"Worker is running: tell it before$"):
            worker.handles("orders")(print)
        with pytest.raises(RuntimeError, match=r"Worker is running: tell it before$"):
            worker.every(60, "reports", None)


# Its repr


def test_the_repr_tells_what_it_does(kind: Kind) -> None:
    worker = kind.worker(at_once=2)
    name = type(worker).__name__
    what = "threads" if name == "Worker" else "tasks"
    assert f"<{name} for no tube with 2 {what}: not running>" == repr(worker)
    worker.handles("orders", "emails")(kind.through_gate)
    about = f"<{name} for 'orders', 'emails' with 2 {what}: "
    with kind.entered(worker):
        assert f"{about}0 jobs in hand>" == repr(worker)
        kind.put("scarf", tube="orders")
        kind.gate.wait_for_job()
        assert f"{about}1 job in hand>" == repr(worker)
        worker.stop()
        assert f"{about}stopping, 1 job in hand>" == repr(worker)
        kind.gate.open()
    assert f"{about}not running>" == repr(worker)


def test_a_name_that_does_not_exist_is_an_attribute_error() -> None:
    import inproc_tubes.worker as module  # noqa: PLC0415 - here alone

    name = "no_such_name"
    with pytest.raises(AttributeError, match=r"^module 'inproc_tubes.worker' has no"):
        getattr(module, name)
