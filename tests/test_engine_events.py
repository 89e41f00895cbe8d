"""The events that an engine records, by the log of its turn."""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING, TypeAlias

import pytest

from inproc_tubes.core.event_log import EVENTS, EventLog
from inproc_tubes.core.failure import Failure
from inproc_tubes.core.recovery import rebuild
from inproc_tubes.core.turn import TURN
from tests.engine_driver import Queue
from tests.event_follower import Follower

if TYPE_CHECKING:
    from inproc_tubes import Event
    from inproc_tubes.core.record import AnyJob
    from inproc_tubes.core.session import Session


class Recorded(Queue):
    """A queue of which events are recorded."""

    def __init__(self) -> None:
        super().__init__()
        self.log = EventLog(self.engine.turn.after)
        self.follower = Follower(self.engine)
        self.log.subscribers = [self.follower]
        self.engine.turn.log = self.log
        self.engine.store.record(recorded=True)

    def told(self) -> list[Event]:
        """Take what was recorded, and compare it with what there is."""
        events = [entry[1] for entry in self.log.pending]
        while self.log.pending:
            subscriber, event, context, _ = self.log.pending.popleft()
            context.run(subscriber._take, event)
        self.follower.check(self.engine)
        return events

    def kinds(self) -> list[str]:
        """Take what was recorded, and return its kinds."""
        return [event.kind.value for event in self.told()]


@pytest.fixture
def queue() -> Recorded:
    """Make an engine of which events are recorded."""
    return Recorded()


Play: TypeAlias = Callable[[Recorded], object]


def held(queue: Recorded) -> tuple[Session, int]:
    """Put a job and reserve it."""
    session = queue.session()
    queue.put()
    job_id = queue.reserve(session)
    queue.told()
    queue.now += 2
    return session, job_id


def release(queue: Recorded) -> None:
    queue.do("release", *held(queue), None, None, 0)


def release_to_another_tube(queue: Recorded) -> None:
    queue.do("release", *held(queue), None, None, 3, None, "other")


def release_too_often(queue: Recorded) -> None:
    queue.do("limit_tries", "default", 1)
    release(queue)


def bury(queue: Recorded) -> None:
    queue.do("bury", *held(queue), None, None)


def expire(queue: Recorded) -> None:
    held(queue)
    queue.to(160)


def close(queue: Recorded) -> None:
    session, _ = held(queue)
    queue.do("close_session", session, "done")


@pytest.mark.parametrize(
    ("play", "kinds"),
    [
        (release, ["released"]),
        (release_to_another_tube, ["released", "moved"]),
        (release_too_often, ["released", "buried"]),
        (bury, ["buried"]),
        (expire, ["timed_out"]),
        (close, ["returned", "consumer_closed"]),
    ],
)
def test_the_end_of_a_reservation_tells_how_long_the_job_was_in_hand(
    queue: Recorded, play: Play, kinds: list[str]
) -> None:
    play(queue)
    events = queue.told()
    assert kinds == [event.kind.value for event in events]
    first = events[0]
    assert (first.job_id, first.tries, first.tube) == (1, 1, "default")
    assert first.held == first.age == (60 if play is expire else 2)


def test_a_delete_by_the_holder_is_recorded(queue: Recorded) -> None:
    session, job_id = held(queue)
    assert queue.engine.delete_held(session, job_id, None) is None  # nor is it quick
    queue.do("delete", session, job_id, None)
    (event,) = queue.told()
    assert (event.kind.value, event.held, event.age) == ("deleted", 2, 2)


def test_a_delete_of_a_job_that_nobody_holds_has_no_time_in_hand(
    queue: Recorded,
) -> None:
    queue.put()
    queue.told()
    queue.do("delete", queue.session(), 1, None)
    assert ["consumer_opened", "deleted"] == [e.kind.value for e in queue.told()]


def test_a_put_is_told_before_the_reservation_that_it_is_answered_with(
    queue: Recorded,
) -> None:
    session = queue.session()
    queue.wait(session)
    queue.put()
    assert ["consumer_opened", "put", "reserved"] == queue.kinds()


def test_the_first_reservation_tells_how_long_the_job_has_waited(
    queue: Recorded,
) -> None:
    queue.put(delay=2)
    queue.to(107)
    session = queue.session()
    queue.reserve(session)
    queue.do("release", session, 1, None, None, 0)
    queue.reserve(session)
    events = [event for event in queue.told() if event.kind.value == "reserved"]
    assert [(5, 7), (None, 7)] == [(event.waited, event.age) for event in events]


def test_an_error_is_told_only_by_the_verb_that_has_told_it(queue: Recorded) -> None:
    session, job_id = held(queue)
    failure = Failure("ValueError", "why", "...")
    queue.do("release", session, job_id, None, None, 0, failure)
    queue.reserve(session)
    queue.do("bury", session, job_id, None, None)
    released, _, buried = queue.told()
    assert released.error is not None
    assert ("ValueError", "why") == released.error[:2]
    assert buried.error is None


def test_delays_that_are_over_are_told_whether_somebody_waits_or_not(
    queue: Recorded,
) -> None:
    queue.put(delay=1)
    queue.to(101)
    session = queue.session()
    queue.reserve(session)
    queue.wait(session)
    queue.put(delay=1)
    expected = ["put", "ready", "consumer_opened", "reserved", "put"]
    assert expected == queue.kinds()
    queue.to(102)
    assert ["ready", "reserved"] == queue.kinds()


def test_a_reservation_that_is_undone_is_told_before_the_job_goes_to_the_next(
    queue: Recorded,
) -> None:
    session, _ = held(queue)
    queue.wait(queue.session())
    queue.told()
    queue.do("give_back", session, [queue.engine.jobs[1]])
    found = [(e.kind.value, e.job_id, e.tries, e.held) for e in queue.told()]
    assert [("returned", 1, 1, 2), ("reserved", 1, 1, None)] == found


def test_another_delay_is_told_and_another_priority(queue: Recorded) -> None:
    queue.put(delay=5)
    queue.do("update", 1, None, None, 7)
    queue.do("update", 1, None, 3, None)
    queue.do("update", 1, None, None, 0)
    found = [(event.delay, event.priority) for event in queue.told()[1:]]
    assert [7, None, 0] == [delay for delay, _ in found]
    assert [3, 3] == [priority for _, priority in found[1:]]


def test_a_paused_tube_is_told_once_and_its_end_once(queue: Recorded) -> None:
    queue.do("pause_tube", "default", 5)
    queue.to(105)
    queue.do("pause_tube", "default", 0)
    assert ["tube_paused", "tube_resumed"] == queue.kinds()


def test_a_limit_is_told_if_it_is_another_one(queue: Recorded) -> None:
    for limit in (3, 3, 0):
        queue.do("limit_tube", "default", limit)
    assert [3, 0] == [event.limit for event in queue.told()]


def test_a_producer_is_no_consumer(queue: Recorded) -> None:
    session = queue.do("open_session", "default", ())
    queue.do("close_session", session, "done")
    assert [] == queue.kinds()


def test_a_mark_is_left_for_the_shell_once(queue: Recorded) -> None:
    after = queue.engine.turn.after
    queue.log.ready(100, queue_job(queue))
    queue.log.ready(100, queue_job(queue))
    assert [EVENTS] == list(after)


def queue_job(queue: Recorded) -> AnyJob:
    if not queue.engine.jobs:
        queue.put()
        queue.told()
    return next(iter(queue.engine.jobs.values()))


def test_a_reservation_that_was_broken_off_is_not_told(queue: Recorded) -> None:
    queue.put()
    session = queue.session()
    queue.told()
    turn = queue.engine.turn
    turn.unfinished = TURN
    queue.engine.reserve(queue.now, session, 0)  # and never returns
    rebuild(queue.now, queue.engine)
    turn.unfinished = None
    assert ["recovered"] == queue.kinds()


def test_a_session_that_was_broken_off_is_not_told(queue: Recorded) -> None:
    turn = queue.engine.turn
    turn.unfinished = TURN
    queue.engine.open_session(queue.now, None, ["default"])
    rebuild(queue.now, queue.engine)
    turn.unfinished = None
    assert ["recovered"] == queue.kinds()


def test_a_job_that_was_replaced_in_a_turn_that_was_broken_off_is_deleted(
    queue: Recorded,
) -> None:
    queue.put()
    queue.put()
    queue.told()
    queue.job(1)._own_history().successor = 2
    queue.engine.turn.unfinished = TURN
    rebuild(queue.now, queue.engine)
    queue.engine.turn.unfinished = None
    assert ["recovered", "deleted"] == queue.kinds()
