"""An engine whose verb was broken off, at every single bytecode, goes on as before.

More verbs, in random situations, are broken off in `tests.test_stateful`.
"""

from __future__ import annotations

from math import inf
from typing import TYPE_CHECKING

import pytest

import inproc_tubes
from inproc_tubes.core.job import JobState
from inproc_tubes.core.making import new_job
from inproc_tubes.core.recovery import check, rebuild
from inproc_tubes.core.requests import JoinRequest, PutRequest
from inproc_tubes.core.turn import TURN
from inproc_tubes.errors import (
    DrainingError,
    StoppedError,
    TimedOutError,
    TubeFullError,
)
from tests.breaking import BrokenOffError, break_off
from tests.engine_driver import Queue, held, take_turn, told, unchecked
from tests.interpreted import interpreted

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from inproc_tubes.core.job import Job
    from inproc_tubes.core.record import AnyJob
    from inproc_tubes.core.requests import ReserveRequest
    from inproc_tubes.core.session import Session

# More bytecodes than any verb here runs.
MANY = 5000


def recover(queue: Queue) -> None:
    """Rebuild an engine, as the next turn does."""
    turn = queue.engine.turn
    rebuild(queue.now, queue.engine)
    turn.unfinished = None
    turn.after.clear()
    check(queue.engine)


def broken_off_everywhere(
    make: Callable[[], Queue], verb: Callable[[Queue], object]
) -> Iterator[Queue]:
    """Yield an engine for each bytecode of a verb that was broken off there."""
    # What is traced by another tracer, coverage.py does not see; and since CPython 3.12
    # the first run shows a tracer the fewest.
    verb(make())
    whole = make()
    break_off(lambda: verb(whole), MANY)
    for at in range(1, MANY):
        with unchecked():  # it was checked the first time
            queue = make()
        queue.engine.turn.unfinished = TURN
        try:
            break_off(lambda queue=queue: verb(queue), at)  # type: ignore[misc]  # mypy does not infer the default's type
        except BrokenOffError:
            recover(queue)
            yield queue
        else:
            assert at > 10 or inproc_tubes.compiled  # it was broken off before
            return
    pytest.fail("the verb has no end")  # pragma: no cover - only if MANY is too small


# Without need


def filled() -> Queue:
    """Return an engine with something in every index."""
    queue = Queue()
    queue.do("limit_tube", "full", 2)
    consumer, producer = queue.session("default", "t"), queue.producer("full")
    for priority in (5, 3, 3):
        queue.put(priority, tube="t")
    queue.put(delay=9, tube="t")
    queue.bury(consumer, queue.put(tube="t"))
    queue.reserve(consumer)
    for _ in range(2):
        queue.put(tube="full")
    queue.offer(producer, 5)
    queue.offer(producer, count=2)
    queue.wait(queue.session("empty", "none"), 5)
    queue.wait(queue.session("empty"))
    queue.join("full", timeout=5)
    queue.do("pause_tube", "t", 7)
    queue.do("begin_put", queue.producer(), memoryview(b"part"), 0, 0, 60)
    return queue


def test_a_rebuilding_without_need_changes_nothing() -> None:
    queue = filled()
    shown = everything_told(queue)
    for _ in range(2):
        recover(queue)
        assert everything_told(queue) == shown


def everything_told(queue: Queue) -> list[object]:
    """Return what the engine tells of itself, and when it is due."""
    told_of_tubes = [queue.do("stats_tube", name) for name in queue.do("list_tubes")]
    told_of_jobs = [queue.do("stats_job", job_id) for job_id in queue.engine.jobs]
    sessions = [
        (queue.do("list_tubes_watched", session), held(session))
        for session in queue.engine.clients.sessions
    ]
    waiting = [request.ticket for request in queue.engine.dispatch.requests()]
    return [told_of_tubes, told_of_jobs, sessions, waiting, queue.next_due()]


# Reservations that are undone


class Undone(Queue):
    """A session that holds a job, and waits for another one."""

    def __init__(self) -> None:
        super().__init__()
        self.client: Session = self.session()
        self.put()
        self.handle: Job = self.do("reserve", self.client, 0)
        self.second: ReserveRequest = self.wait(self.client)

    def give_back(self) -> None:
        """Undo the reservation of the job that it holds."""
        self.engine.dispatch.give_back(self.now, self.client, [self.handle])


def test_a_job_that_is_given_back_twice_is_not_taken_from_the_next_reserve() -> None:
    """Whatever is deferred is tried again if it is broken off."""
    for queue in broken_off_everywhere(Undone, Undone.give_back):  # type: ignore[arg-type]  # each is an Undone
        assert isinstance(queue, Undone)
        take_turn(queue.engine, queue.give_back)
        assert told(queue.second) == 1
        # XX package bug: a job that is given back is the same object for its next
        # holder, so the second attempt takes it away from that one.
        assert held(queue.client) == [1]
        assert queue.client.held.get(1) is queue.second.outcome


class Withdrawn(Queue):
    """Two requests of a session, of which the first was given a job."""

    def __init__(self) -> None:
        super().__init__()
        self.client: Session = self.session()
        self.first, self.second = self.wait(self.client), self.wait(self.client)
        self.put()

    def withdraw(self) -> None:
        """Withdraw the first."""
        self.engine.dispatch.withdraw(self.now, self.first)


def test_a_withdrawal_that_is_tried_again_does_not_disturb_the_next_reserve() -> None:
    for queue in broken_off_everywhere(Withdrawn, Withdrawn.withdraw):  # type: ignore[arg-type]  # each is a Withdrawn
        assert isinstance(queue, Withdrawn)
        take_turn(queue.engine, queue.withdraw)
        assert told(queue.second) == 1
        # XX package bug: as above.
        assert queue.client.held.get(1) is queue.second.outcome


# XX package bug: the job counts the reservation that was undone.
@pytest.mark.parametrize(
    "verb", ["reserve", "reserve_many", "reserve_job", "hand over"]
)
def test_a_reservation_that_was_broken_off_is_not_counted(verb: str) -> None:
    def make() -> Queue:
        queue = Queue()
        session = queue.session(used="default")
        if verb == "hand over":
            queue.wait(session)
        else:
            queue.put()
        return queue

    def reserve(queue: Queue) -> None:
        engine, now = queue.engine, queue.now
        session = next(iter(engine.clients.sessions))
        if verb == "reserve":
            engine.reserve(now, session, 0)
        elif verb == "reserve_many":
            engine.reserve_many(now, session, 2, 0)
        elif verb == "reserve_job":
            engine.reserve_job(now, session, 1)
        else:
            engine.put(now, session, new_job("body", 0, 0, 60), None)

    for queue in broken_off_everywhere(make, reserve):
        for job in queue.engine.jobs.values():
            assert job._reserves == (job._state is JobState.RESERVED)


# Puts in two steps


class Connected(Queue):
    """A connection whose body is to come, if it is begun."""

    def __init__(self, *, begun: bool = False) -> None:
        super().__init__()
        self.client: Session = self.producer()
        if begun:
            self.begin()
            self.engine.turn.unfinished = None

    def begin(self) -> None:
        """Begin a put."""
        body = memoryview(b"part")
        self.engine.wire_puts.begin_put(self.now, self.client, body, 0, 0, 60)

    def abort(self) -> None:
        """Abort it."""
        self.engine.wire_puts.abort_put(self.now, self.client)

    def finish(self) -> None:
        """Finish it."""
        self.engine.wire_puts.finish_put(self.now, self.client, b"body")


def begun() -> Connected:
    return Connected(begun=True)


@interpreted
@pytest.mark.parametrize(
    ("make", "verb"),
    [
        (Connected, Connected.begin),
        (begun, Connected.abort),
        (begun, Connected.finish),
    ],
)
def test_a_put_in_two_steps_that_is_broken_off_is_begun_or_over(
    make: Callable[[], Connected], verb: Callable[[Connected], None]
) -> None:
    states = set()
    for queue in broken_off_everywhere(make, verb):  # type: ignore[arg-type]  # each is Connected
        assert isinstance(queue, Connected)
        is_begun = queue.client.incoming is not None
        jobs = list(queue.engine.jobs.values())
        states.add("begun" if is_begun else "put" if jobs else "none")
        to_come = [job for job in jobs if job._state is JobState.INVALID]
        assert to_come == ([queue.client.incoming] if is_begun else [])
        # The connection goes on with its next put.
        queue.begin()
        jobs = list(queue.engine.jobs.values())
        to_come = [job for job in jobs if job._state is JobState.INVALID]
        assert to_come == [queue.client.incoming]
        queue.do("abort_put", queue.client)
        assert queue.put_from(queue.client) > 0
    assert "begun" in states
    assert "none" in states


# Verbs of sessions, tubes, puts and joins


def test_a_session_whose_opening_was_broken_off_is_none() -> None:
    def opening(queue: Queue) -> None:
        queue.engine.open_session(queue.now, "a", ["b", "c", "b"])

    for queue in broken_off_everywhere(Queue, opening):
        assert not queue.engine.clients.sessions
        assert queue.do("list_tubes") == ["default"]


def stoppable() -> Queue:
    """Return an engine in which a session holds a job, and waits in all ways."""
    queue = Queue()
    session = queue.session("a", "b", used="full")
    queue.do("limit_tube", "full", 1)
    queue.put(tube="full")
    queue.put(tube="b")
    assert queue.reserve_all(session) == [2]
    queue.wait(session, 60)
    queue.wait(session, told_of_deadlines=False)
    queue.offer(session)
    queue.join("full", timeout=60)
    return queue


@interpreted
def test_a_session_whose_stop_was_broken_off_is_stopped_or_as_before() -> None:
    def stop(queue: Queue) -> None:
        session = next(iter(queue.engine.clients.sessions))
        queue.engine.clients.stop_session(queue.now, session, "stopped")

    ends = set()
    for queue in broken_off_everywhere(stoppable, stop):
        (session,) = queue.engine.clients.sessions
        is_stopped = session.stopped is not None
        ends.add(is_stopped)
        assert queue.waiting == (0 if is_stopped else 2)
        woken = dict.fromkeys(queue.answered)  # some of them twice, maybe
        assert [told(r) for r in woken] == [StoppedError] * 2 * is_stopped
        assert len(session.watched) == (0 if is_stopped else 2)
        assert ("a" in queue.engine.tubes) is not is_stopped
        assert held(session) == [2]
        assert queue.all_waiting == queue.waiting + 2
    assert ends == {False, True}


@interpreted
def test_a_broker_whose_stop_was_broken_off_is_stopped_or_as_before() -> None:
    ends = set()
    for queue in broken_off_everywhere(
        stoppable, lambda queue: queue.engine.stop(queue.now, "all stopped")
    ):
        (session,) = queue.engine.clients.sessions
        is_stopped = queue.engine.stopped is not None
        ends.add(is_stopped)
        assert (session.stopped is not None) == is_stopped
        assert queue.all_waiting == (0 if is_stopped else 4)
        woken = dict.fromkeys(queue.answered)  # some of them twice, maybe
        assert [told(r) for r in woken] == [StoppedError] * 4 * is_stopped
        assert held(session) == [2]
    assert ends == {False, True}


@interpreted
def test_a_session_whose_closing_was_broken_off_is_closed_or_as_before() -> None:
    def make() -> Queue:
        queue = Queue()
        session = queue.session("a", "b", used="full")
        queue.do("limit_tube", "full", 1)
        for tube in ("full", "a", "b"):
            queue.put(tube=tube)
        assert queue.reserve_all(session) == [2, 3]
        queue.offer(session)
        queue.wait(queue.session("c"))
        queue.wait(session)
        return queue

    def closing(queue: Queue) -> None:
        session = next(iter(queue.engine.clients.sessions))
        queue.engine.clients.close_session(queue.now, session, "closed")

    ends = set()
    for queue in broken_off_everywhere(make, closing):
        is_open = len(queue.engine.clients.sessions) == 2
        ends.add(is_open)
        states = [queue.state(job_id) for job_id in (1, 2, 3)]
        theirs = "reserved" if is_open else "ready"
        assert states == ["ready", theirs, theirs]
        assert queue.all_waiting == (3 if is_open else 1)
    assert ends == {False, True}


@interpreted
def test_a_batch_whose_put_was_broken_off_is_put_as_a_whole_or_not_at_all() -> None:
    def make() -> Queue:
        queue = Queue()
        queue.producer()
        queue.wait(queue.session("new"))
        return queue

    def putting(queue: Queue) -> None:
        session = next(iter(queue.engine.clients.sessions))
        jobs: list[AnyJob] = [new_job("body", 0, 0, 60) for _ in range(3)]
        queue.engine.put_many(queue.now, session, jobs, "new")

    counts = set()
    for queue in broken_off_everywhere(make, putting):
        count = len(queue.engine.jobs)
        counts.add(count)
        assert queue.waiting == (0 if count else 1)
        assert queue.count("total_jobs") == count
    assert counts == {0, 3}


@interpreted
@pytest.mark.parametrize("state", ["ready", "delayed", "buried", "reserved"])
def test_a_delete_that_was_broken_off_has_deleted_the_job_once_or_not(
    state: str,
) -> None:
    """Then its tube is gone, and the join has its end."""

    def make() -> Queue:
        queue = Queue()
        session = queue.session()
        queue.put(delay=9 if state == "delayed" else 0, tube="t")
        if state == "buried":
            queue.bury(session, 1)
        if state == "reserved":
            queue.do("reserve_job", session, 1)
        queue.put(tube="u")
        queue.join("t", "u")
        return queue

    def deleting(queue: Queue) -> None:
        session = next(iter(queue.engine.clients.sessions))
        queue.engine.delete(queue.now, session, 1, None)

    ends = set()
    for queue in broken_off_everywhere(make, deleting):
        is_there = 1 in queue.engine.jobs
        ends.add(is_there)
        assert ("t" in queue.engine.tubes) == is_there
        # The counts of a tube that is gone may be missing, but all of them then.
        present = queue.count("total_jobs") - queue.count("cmd_delete")
        assert present == len(queue.engine.jobs)
        if is_there:
            assert queue.state(1) == state
        assert queue.all_waiting == 1
        queue.do("clear_tube", "u", (JobState.READY,))
        if is_there:
            deleting(queue)
            queue.engine.turn.unfinished = None
        assert queue.all_waiting == 0
    assert ends == {False, True}


def a_full_tube() -> Queue:
    queue = Queue()
    queue.producer()
    queue.do("limit_tube", "full", 1)
    queue.put(tube="full")
    return queue


def test_a_put_whose_waiting_was_broken_off_can_be_withdrawn() -> None:
    requests: list[PutRequest] = []

    def make() -> Queue:
        queue = a_full_tube()
        job = new_job("body", 0, 0, 60)
        requests.append(PutRequest(queue.producer(), 5, [job], "full"))
        return queue

    def waiting(queue: Queue) -> None:
        queue.engine.wait_to_put(queue.now, requests[-1])

    for queue in broken_off_everywhere(make, waiting):
        queue.do("withdraw", requests[-1])
        assert queue.all_waiting == 0
        assert queue.next_due() == inf
        assert list(queue.engine.jobs) == [1]


def test_a_join_whose_waiting_was_broken_off_can_be_withdrawn() -> None:
    requests: list[JoinRequest] = []

    def make() -> Queue:
        requests.append(JoinRequest(5, ["full"]))
        return a_full_tube()

    def waiting(queue: Queue) -> None:
        queue.engine.join(queue.now, requests[-1])

    for queue in broken_off_everywhere(make, waiting):
        queue.do("withdraw", requests[-1])
        assert queue.all_waiting == 0
        assert queue.next_due() == inf


@pytest.mark.parametrize("verb", ["drain", "catch_up"])
def test_what_ends_many_waits_ends_all_of_them_though_it_was_broken_off(
    verb: str,
) -> None:
    def make() -> Queue:
        queue = a_full_tube()
        for tube in ("full", "other"):
            queue.do("limit_tube", tube, 1)
            queue.offer(queue.producer(tube), 5)
        queue.offer(queue.producer("full"), 5)
        queue.join(timeout=5)
        assert queue.all_waiting == 3
        return queue

    def ending(queue: Queue) -> None:
        if verb == "drain":
            queue.engine.drain(queue.now)
        else:
            queue.now = 105.0
            queue.engine.catch_up(105.0)

    errors = (DrainingError if verb == "drain" else TubeFullError, TimedOutError)
    for queue in broken_off_everywhere(make, ending):
        queue.to(queue.now)
        begun = verb == "catch_up" or queue.engine.store.draining
        left = 1 if verb == "drain" else 0  # the join
        assert queue.all_waiting == (left if begun else 3)
        assert {told(request) for request in queue.answered} <= {*errors}
        assert len({*queue.answered}) == 3 - queue.all_waiting


def test_a_put_that_was_broken_off_in_the_timers_is_planned_anew() -> None:
    class Entries(dict[object, object]):
        def __delitem__(self, key: object) -> None:
            super().__delitem__(key)
            raise BrokenOffError

    queue = Queue()
    session = queue.producer("default")
    delayed, mortal = new_job("a", 0, 100, 60), new_job("b", 0, 0, 60)
    queue.do("put_many", session, [delayed], None)
    timers = queue.engine.schedule._tubes
    timers._entries = Entries(timers._entries)  # type: ignore[assignment]  # it is broken
    mortal._own_history().life = 30
    queue.engine.turn.unfinished = TURN
    with pytest.raises(BrokenOffError):
        queue.engine.put_many(queue.now, session, [mortal], None)
    recover(queue)
    assert queue.next_due() == 130
