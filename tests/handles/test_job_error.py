"""`Job.error`: what a job failed with stays with it."""

from __future__ import annotations

import gc
import weakref
from contextlib import suppress
from typing import TYPE_CHECKING

import pytest

from tests.handles.shared import BY, Target

if TYPE_CHECKING:
    from collections.abc import Callable

    from inproc_tubes import AsyncConsumer, Broker, Consumer, Job, JobError, Producer
    from inproc_tubes.testing import FakeClock


def fail(job: Job, text: str = "too heavy") -> None:
    """Leave the block of a job by a ValueError."""
    # It is a pattern: to compile that of a long text takes a second.
    with pytest.raises(ValueError, match=text[:99]), job:
        raise ValueError(text)


def error_of(job: Job) -> JobError:
    """Return the error of a job that has one."""
    assert job.error is not None
    return job.error


def test_a_job_has_no_error_to_begin_with(broker: Broker, job: Job) -> None:
    assert job.error is None
    assert broker.peek(1).error is None


def test_the_block_that_fails_tells(clock: FakeClock, broker: Broker, job: Job) -> None:
    clock.advance(5)
    fail(job)
    (buried,) = broker.jobs("default", "buried")
    error = error_of(buried)
    assert ("ValueError", "too heavy") == (error.type, error.text)
    assert error.traceback.startswith("Traceback (most recent call last):\n")
    assert "raise ValueError(text)" in error.traceback
    assert error.traceback.endswith("ValueError: too heavy\n")
    assert ("default", 1, clock.now()) == (error.tube, error.attempt, error.failed_at)
    assert error == job.error
    shown = "<Job 1 in 'default', buried, priority 5: 'work'; ValueError: too heavy>"
    assert shown == repr(buried) == repr(job)


@pytest.mark.parametrize("by", BY)
@pytest.mark.parametrize("verb", ["release", "bury"])
def test_who_gives_a_job_up_may_tell(
    broker: Broker, consumer: Consumer, job: Job, verb: str, by: Callable[[Job], Target]
) -> None:
    getattr(consumer, verb)(by(job), error=KeyError("size"))
    assert "KeyError: 'size'" == error_of(broker.peek(1)).headline


@pytest.mark.parametrize("verb", ["release", "bury"])
def test_a_job_may_be_given_up_by_its_own_verbs_and_by_an_async_consumer(
    broker: Broker, producer: Producer, job: Job, verb: str
) -> None:
    getattr(job, verb)(priority=3, error=ValueError("by the job"))
    other: AsyncConsumer = broker.async_consumer()
    producer.put("other")
    again = other.reserve_job(2)
    getattr(other, verb)(again, 3, error=ValueError("by the consumer"))
    texts = [error_of(broker.peek(job_id)).text for job_id in (1, 2)]
    assert ["by the job", "by the consumer"] == texts
    assert [3, 3] == [broker.peek(job_id).priority for job_id in (1, 2)]


def test_the_error_stays_until_the_next_one(
    clock: FakeClock, broker: Broker, consumer: Consumer, job: Job
) -> None:
    fail(job, "first")
    broker.kick("default", 1)
    again = consumer.reserve()
    assert ("first", 1) == (error_of(again).text, error_of(again).attempt)
    again.release(delay=5)
    clock.advance(5)
    third = consumer.reserve()
    assert "first" == error_of(third).text
    fail(third, "second")
    assert ("second", 3) == (error_of(third).text, error_of(third).attempt)
    # The old handle is a snapshot.
    assert "first" == error_of(again).text


def test_what_is_no_exception_is_refused(consumer: Consumer, job: Job) -> None:
    for verb in (consumer.bury, consumer.release):
        with pytest.raises(TypeError, match=r"^an error is an exception, not str$"):
            verb(job, error="too heavy")  # type: ignore[arg-type]  # that is the test
    assert ("reserved", None) == (job.stats().state, job.error)


def test_only_text_is_kept(broker: Broker, job: Job) -> None:
    class Payload:
        """Something in a frame, and in the exception."""

    class Text(str):  # noqa: SLOT000  # it is to have attributes
        """A text that refers to something."""

        payload: object

    class PayloadError(ValueError):
        """An exception that refers to something."""

        def __str__(self) -> str:
            text = Text("too heavy")
            text.payload = self.args[0]
            return text

    def work(payload: Payload) -> None:
        with suppress(PayloadError), job:
            raise PayloadError(payload)

    payload = Payload()
    gone = weakref.ref(payload)
    work(payload)
    del payload
    gc.collect()
    assert gone() is None
    assert {str, int, float} == set(map(type, error_of(job)))
    assert "too heavy" == error_of(broker.peek(1)).text
    assert error_of(job).type.endswith("test_only_text_is_kept.<locals>.PayloadError")
    assert error_of(job).type.startswith(f"{__name__}.")


def test_an_exception_that_cannot_be_shown_does_no_harm(job: Job) -> None:
    class Mute(Exception):  # noqa: N818  # it is no error of ours
        """Raises where it should tell."""

        def __str__(self) -> str:
            raise RuntimeError

    with pytest.raises(Mute), job:
        raise Mute
    assert "<not to be had: formatting it has failed>" == error_of(job).text
    assert "raise Mute" in error_of(job).traceback
    assert "buried" == job.stats().state


def test_a_text_without_end_is_cut(job: Job) -> None:
    fail(job, "x" * 1_000_000)
    assert 1 + 16_000 < len(error_of(job).text) < 17_000
    assert len(error_of(job).traceback) < 17_000
    assert len(repr(job)) < 200
    assert repr(job).endswith("xxx...>")


def test_a_headline_is_one_line(job: Job) -> None:
    fail(job, "too\nheavy")
    assert "ValueError: too heavy" == error_of(job).headline
    assert error_of(job)._replace(text="").headline == "ValueError"


def test_the_error_goes_with_the_job(consumer: Consumer, job: Job) -> None:
    job.release(error=ValueError())
    consumer.reserve().delete()
    assert job.error is not None  # a snapshot
    assert {} == consumer._engine.jobs


def test_a_lost_job_is_told_nothing(
    clock: FakeClock, other: Consumer, job: Job
) -> None:
    clock.advance(10)
    again = other.reserve()
    fail(job)
    assert again.error is None
    assert job.error is None
