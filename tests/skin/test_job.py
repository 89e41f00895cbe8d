"""pybeanstalk's job, without pybeanstalk."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import pytest

from inproc_tubes.fakes.beanstalk import errors, job, serverconn

if TYPE_CHECKING:
    from collections.abc import Callable


def test_replies_with_an_id_become_jobs(jobs: serverconn.ServerConn) -> None:
    put = jobs.put("a")
    assert (put.jid, put.data, put.state) == (1, "", "ok")
    assert isinstance(jobs.peek(1), job.Job)
    assert isinstance(jobs.peek_ready(), job.Job)
    jobs.put("b", delay=5)
    assert isinstance(jobs.peek_delayed(), job.Job)
    one = jobs.reserve()
    assert (one.jid, one.data, one.pri, one.delay) == (1, "a", 0, 0)
    assert (one.tube, one.ttr, one.imutable) == ("default", 60, False)
    assert one.Server is jobs
    jobs.bury(1)
    assert isinstance(jobs.peek_buried(), job.Job)
    assert isinstance(jobs.reserve_with_timeout(5), job.Job)
    assert jobs.reserve_with_timeout() == {"state": "timeout"}
    assert isinstance(jobs.stats_job(1), dict)


def test_a_jobs_attributes_are_its_items(reserved: job.Job) -> None:
    assert (reserved["data"], reserved["jid"]) == ("a", 1)
    with pytest.raises(KeyError):
        reserved["bytes"]
    with pytest.raises(TypeError, match=r"^Invalid subscript type: <class 'int'>$"):
        reserved[1]


def test_a_job_prints_its_fields(reserved: job.Job) -> None:
    assert str(reserved) == (
        "{'conn': '<[Open]ServerConn(127.0.0.1:11300)>',\n"
        " 'data': 'a',\n"
        " 'jid': 1,\n"
        " 'state': 'ok'}"
    )


def test_jobs_with_anything_in_common_are_equal() -> None:
    def make(conn: str, jid: int, state: str, data: str) -> job.Job:
        return job.Job(conn, jid=jid, state=state, data=data)

    one = make("c", 1, "ok", "a")
    assert one != "c"
    assert one != make("d", 2, "buried", "b")
    assert one == make("c", 2, "buried", "b")
    assert one == make("d", 1, "buried", "b")
    assert one == make("d", 2, "ok", "b")
    assert one == make("d", 2, "buried", "a")
    assert len({one, make("c", 1, "ok", "a")}) == 2


def test_a_job_needs_a_connection(
    conn: serverconn.ServerConn, monkeypatch: pytest.MonkeyPatch
) -> None:
    with pytest.raises(AttributeError, match=r"^No connection specified$"):
        job.Job()
    monkeypatch.setattr(job, "DEFAULT_CONN", conn)
    assert job.Job().Server is conn


def test_finishing_a_job_deletes_it(reserved: job.Job) -> None:
    assert reserved.Info["data"]["state"] == "reserved"
    assert reserved.Touch() is True
    assert reserved.Finish() is True
    assert reserved.Finish() is False
    assert reserved.Touch() is False
    with pytest.raises(errors.NotFound):
        _ = reserved.Info


def test_returning_a_job_makes_it_ready(reserved: job.Job) -> None:
    reserved.pri = 4
    assert reserved.Return() is True
    assert reserved.Return() is False
    assert reserved.Info["data"]["state"] == "ready"
    assert reserved.Info["data"]["pri"] == 4


def test_delaying_a_job_makes_it_wait(reserved: job.Job) -> None:
    assert reserved.Delay(9) is True
    assert reserved.Delay(9) is False
    assert reserved.Info["data"]["delay"] == 9


def test_burying_a_job_may_change_its_priority(reserved: job.Job) -> None:
    assert reserved.Bury() is True
    assert reserved.Bury() is False
    assert reserved.pri == reserved.Info["data"]["pri"] == 0
    reserved.Server.kick()
    assert reserved.Server.reserve().Bury(newpri=6) is True
    assert reserved.Info["data"]["pri"] == 6
    assert reserved.Bury(7) is False
    assert reserved.pri == 7


def test_other_errors_of_a_job_are_raised(reserved: job.Job) -> None:
    with pytest.raises(errors.BadFormat):
        reserved.Delay(-1)


@pytest.mark.parametrize(
    "verb",
    [job.Job.Return, job.Job.Finish, job.Job.Touch, job.Job.Bury],
)
def test_an_immutable_job_does_not_change(
    reserved: job.Job, verb: Callable[[job.Job], bool]
) -> None:
    mine = job.Job(reserved.Server, jid=1, imutable=True)
    with pytest.raises(
        errors.JobError, match=r"^Cannot do that to a job you don't own$"
    ):
        verb(mine)
    with pytest.raises(errors.JobError):
        mine.Delay(1)
    assert reserved.Info["data"]["state"] == "reserved"


class TextJob(job.Job):
    """A job as users write it."""

    def _serialize(self) -> Any:
        return f"<{self.data}>"

    def _unserialize(self, data: Any) -> None:
        super()._unserialize(data[1:-1])


def test_a_new_job_is_put_into_its_own_tube(conn: serverconn.ServerConn) -> None:
    one = TextJob(conn, data="a", tube="orders", pri=3, ttr=9)
    one.Queue()
    assert conn.tube == "default"
    conn.use("orders")
    TextJob(conn, data="b", tube="orders").Queue()
    assert conn.tube == "orders"
    assert conn.peek(1)["data"] == "<a>"
    one._unserialize("<c>")
    assert one.data == "c"
    data = conn.stats_job(1)["data"]
    assert (data["tube"], data["pri"], data["ttr"]) == ("orders", 3, 9)


def test_a_plain_new_job_cannot_be_put(conn: serverconn.ServerConn) -> None:
    new = job.newJob(conn=conn, data="a", from_queue=True)
    with pytest.raises(errors.ExpectedCrlf):
        new.Queue()


def test_a_job_from_the_queue_is_released_instead(reserved: job.Job) -> None:
    mine = job.Job(reserved.Server, jid=1, from_queue=True)
    mine.delay = 5
    mine.Queue()
    assert reserved.Info["data"]["state"] == "delayed"


def test_a_job_does_not_run_by_itself(reserved: job.Job) -> None:
    with pytest.raises(TypeError, match="must be implemented in a subclass"):
        reserved.run()
