"""One job in a tube and two clients: the scene of the tests of a job's states."""

from __future__ import annotations

from dataclasses import asdict
from typing import TYPE_CHECKING, Any

from inproc_tubes.core import making
from inproc_tubes.core.counts import CommandCounts
from inproc_tubes.core.making import new_job
from tests.engine_driver import Holder, Queue
from tests.snapshots import snapshot

if TYPE_CHECKING:
    from inproc_tubes.core.job import Job, JobHolder

STATES = ["ready", "delayed", "buried", "mine", "other", "invalid", "gone"]
NOW = 100.0
JOB = 1


class Scene:
    """A job that was put ten seconds ago, in this state.

    Its priority is 5, its ttr 60. It is "delayed" until 120.0, reserved until 150.0 if
    it is "mine" or of the "other", and was reserved before if it is "buried".

    Attributes:
        stale: If it is ``renewed``, the handle of an earlier reservation.
    """

    def __init__(self, state: str, *, renewed: bool = False) -> None:
        self.queue = queue = Queue()
        self.engine = queue.engine
        queue.now = 90.0
        self.me = queue.session("t", used="t")
        self.other = queue.session("t", used="t")
        if state == "invalid":
            # The put line was read, the body was not.
            queue.do("begin_put", self.other, memoryview(b"body"), 5, 0, 60)
        else:
            delay = 30 if state == "delayed" else 0
            job = new_job("body", 5, 0 if renewed else delay, 60)
            queue.do("put", self.me, job, None)
        if renewed:
            self.stale: Job = queue.do("reserve", self.me, 0)
            queue.do("release", self.me, JOB, self.stale, None, 0)
            queue.do("reserve", self.me, 0)
            delay = 30 if state == "delayed" else 0
            queue.do("release", self.me, JOB, None, None, delay)
        if state in {"mine", "other", "buried"}:
            session = self.me if state == "mine" else self.other
            queue.do("reserve", session, 0)
        if state == "buried":
            queue.do("bury", self.other, JOB, None, None)
        if state == "gone":
            queue.do("delete", self.me, JOB, None)
        # Drop the entries that are dead by now. A look would do so later.
        self.engine.tubes["t"].ready.first()
        queue.to(NOW)

    def do(self, verb: str, *args: Any) -> Any:
        """Call a verb of the engine, or ask a question about it."""
        return self.queue.do(verb, *args)

    @property
    def job(self) -> Job:
        """The job as the engine has it now."""
        return self.queue.job(JOB)

    @property
    def owner(self) -> str | None:
        """Who holds the job."""
        for name in "me", "other":
            if getattr(self, name).held.get(JOB) is not None:
                return name
        return None

    def fields(self) -> dict[str, Any]:
        """Return what is known of the job and of its tube, by beanstalkd's names."""
        if JOB not in self.engine.jobs:
            return {"state": "gone"}
        tube = asdict(self.do("stats_tube", "t"))
        return (
            asdict(self.do("stats_job", JOB))
            | {"owner": self.owner}
            | {key: tube[key] for key in tube if key.startswith("cmd_")}
        )

    def counters(self) -> dict[str, int]:
        """Return the counters of the commands, but for the one that this moves."""
        counts = self.do("broker_counts")
        return {
            name: counts[name]
            for name in counts
            if name.startswith("cmd_") and name != "cmd_stats"
        }

    def snapshot(self) -> Any:
        """Return all that can be reached, but the counters of the engine's commands."""
        return snapshot([self.engine, self.me, self.other], CommandCounts)


def foreign_handle() -> Job:
    """Return a handle with the id of the job, which another broker gave out."""
    queue = Queue()
    queue.put()
    job: Job = queue.do("reserve", queue.session(), 0)
    assert job.id == JOB
    return job


def peeked(scene: Scene) -> Job:
    """Return a snapshot of the job, as `Broker.peek` gives it out."""
    holder: JobHolder = Holder(scene.engine.jobs)  # type: ignore[assignment]  # nobody calls its verbs
    return making.peeked(scene.job, holder)


READY: dict[str, Any] = {"state": "ready", "time_left": 0, "owner": None}
RESERVED: dict[str, Any] = {"state": "reserved", "time_left": 60, "owner": "me"}
