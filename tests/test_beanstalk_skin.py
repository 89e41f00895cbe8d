"""pybeanstalk's interface, without pybeanstalk."""

from __future__ import annotations

import gc
import logging
from typing import TYPE_CHECKING, Any

import pytest
import yaml

from inproc_tubes import DeadlockError
from inproc_tubes.fakes import FakeBeanstalkd
from inproc_tubes.fakes.beanstalk import errors, job, protohandler, serverconn

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

HOST, PORT = HOME = ("127.0.0.1", 11300)


@pytest.fixture
def fake() -> Iterator[FakeBeanstalkd]:
    with FakeBeanstalkd(HOME) as fake:
        yield fake


@pytest.fixture
def conn(fake: FakeBeanstalkd) -> serverconn.ServerConn:
    """Return a connection that nobody closes."""
    return serverconn.ServerConn(*fake.address)


@pytest.fixture
def jobs(conn: serverconn.ServerConn) -> serverconn.ServerConn:
    """Return a connection whose replies are jobs."""
    conn.job = job.Job
    return conn


@pytest.fixture
def reserved(jobs: serverconn.ServerConn) -> job.Job:
    jobs.put("a")
    one: job.Job = jobs.reserve()
    return one


def same(expected: dict[str, Any], actual: Any) -> bool:
    """Compare as text, which is in order: what users have printed."""
    return str(expected) == str(actual)


# The script


def test_the_tutorial_runs_with_only_its_import_changed(
    capsys: pytest.CaptureFixture[str],
) -> None:
    script = """
from inproc_tubes.fakes.beanstalk import serverconn, job
c = serverconn.ServerConn('localhost', 99988)
c.use('orders')
c.put('first message, into orders tube')
c.put('second message, into orders tube', pri=0)
c.put('third message, into orders tube', pri=999)
c.watchlist = ['orders']
print(c.watchlist)
j = c.reserve()
print(j)
c.delete(j['jid'])
c.job = job.Job
j = c.reserve()
print(j.data)
print(j.Finish(), j.Finish())
"""
    exec(script, {})  # noqa: S102 # it is a script
    assert capsys.readouterr().out == (
        "['orders']\n"
        "{'data': 'second message, into orders tube', 'jid': 2, 'bytes': 32, "
        "'state': 'ok'}\n"
        "first message, into orders tube\n"
        "True False\n"
    )


# Which server


def test_an_active_server_is_reached_at_its_address(fake: FakeBeanstalkd) -> None:
    conn = serverconn.ServerConn("localhost", PORT)
    conn.put("a")
    assert fake.broker.peek(1).body == b"a"
    assert fake.connections == 1


def test_without_an_active_server_an_address_has_its_own() -> None:
    one = serverconn.ServerConn("localhost", 99901)
    two = serverconn.ServerConn("127.0.0.1", 99901)
    other = serverconn.ServerConn("localhost", 99902)
    one.put("a")
    assert two.peek_ready()["data"] == "a"
    with pytest.raises(errors.NotFound):
        other.peek_ready()


def test_its_own_server_tells_the_real_time() -> None:
    conn = serverconn.ServerConn("localhost", 99903)
    assert conn.reserve_with_timeout(0) == {"state": "timeout"}
    assert conn.stats()["data"]["uptime"] < 1000  # a FakeClock begins at a million


def test_an_active_server_goes_before_its_own() -> None:
    before = serverconn.ServerConn("localhost", 99904)
    before.put("a")
    with FakeBeanstalkd(("localhost", 99904)):
        during = serverconn.ServerConn("localhost", 99904)
        with pytest.raises(errors.NotFound):
            during.peek(1)
    assert serverconn.ServerConn("localhost", 99904).peek(1)["data"] == "a"


def test_what_is_no_address_is_refused() -> None:
    with pytest.raises(TypeError, match=r"^address is \(host, port\) or a path"):
        serverconn.ServerConn("localhost", "nowhere")  # type: ignore[arg-type] # that is it


def test_a_server_that_refuses_raises_what_a_socket_raises(
    fake: FakeBeanstalkd,
) -> None:
    fake.refuse()
    with pytest.raises(ConnectionRefusedError):
        serverconn.ServerConn(*fake.address)


# The connection


def test_a_connection_begins_with_asking_for_the_largest_size() -> None:
    with FakeBeanstalkd(max_job_size=7) as small:
        conn = serverconn.ServerConn(*small.address)
        assert protohandler.MAX_JOB_SIZE == 7
        assert conn.stats()["data"]["cmd-stats"] == 2
        with pytest.raises(errors.JobTooBig) as caught:
            conn.put("sevenXX")
        assert caught.value.args == ("Job size is 7 (max allowed is 7",)
        assert conn.put("sixXXX") == {"jid": 1, "state": "ok"}


def test_a_connection_shows_its_address_and_never_that_it_is_closed(
    conn: serverconn.ServerConn,
) -> None:
    assert repr(conn) == "<[Open]ServerConn(127.0.0.1:11300)>"
    conn.close()
    assert repr(conn) == "<[Open]ServerConn(127.0.0.1:11300)>"
    assert (conn.server, conn.port, conn.job, conn.poller) == (HOST, PORT, False, None)


def test_connections_to_one_address_are_equal(conn: serverconn.ServerConn) -> None:
    assert conn == serverconn.ServerConn(HOST, PORT)
    assert conn != serverconn.ServerConn(HOST, 99905)
    assert len({conn, serverconn.ServerConn(HOST, PORT)}) == 2
    with pytest.raises(AssertionError):
        assert conn == HOST


def test_closing_gives_jobs_back(
    fake: FakeBeanstalkd, conn: serverconn.ServerConn
) -> None:
    conn.put("a")
    conn.reserve()
    conn.close()
    assert fake.connections == 0
    assert fake.broker.stats().current_jobs_ready == 1
    with pytest.raises(errors.ProtoError) as caught:
        conn.stats()
    assert caught.value.args == ()


def test_forgetting_a_connection_closes_it(fake: FakeBeanstalkd) -> None:
    serverconn.ServerConn(*fake.address).put("a")
    gc.collect()
    assert fake.connections == 0


def test_a_file_descriptor_is_refused(conn: serverconn.ServerConn) -> None:
    with pytest.raises(OSError, match="file descriptor to wait for"):
        conn.fileno()
    conn.close()
    assert conn.fileno() == -1


def test_a_dropped_connection_is_closed(
    fake: FakeBeanstalkd, conn: serverconn.ServerConn
) -> None:
    fake.drop()
    with pytest.raises(errors.ProtoError) as caught:
        conn.stats()
    assert caught.value.args == ("Remote server 127.0.0.1:11300 has closed connection",)
    with pytest.raises(errors.ProtoError) as caught:
        conn.stats()
    assert caught.value.args == ()


def test_who_would_wait_for_ever_hears_of_it(conn: serverconn.ServerConn) -> None:
    with pytest.raises(DeadlockError):
        conn.reserve()


def test_a_command_is_logged(
    conn: serverconn.ServerConn, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level(logging.INFO, serverconn.logger.name)
    conn.use("orders")
    assert caplog.messages == ["Calling 'use orders'"]


def test_the_exception_that_is_never_raised_can_be_caught() -> None:
    assert serverconn.ConnectionError.__bases__ == (Exception,)


@pytest.mark.parametrize("name", ["kick_job", "pause_tube", "reserve_job", "quit"])
def test_later_commands_are_not_there(conn: serverconn.ServerConn, name: str) -> None:
    with pytest.raises(AttributeError):
        getattr(conn, name)


# The watch list


def test_the_watch_list_is_set_by_watching_and_ignoring(
    conn: serverconn.ServerConn,
) -> None:
    conn.watchlist = ["a", "b", "a"]
    assert sorted(conn.watchlist) == ["a", "b"]  # the order is the server's
    conn.watchlist = ["b", "c"]
    assert sorted(conn.watchlist) == ["b", "c"]
    assert conn.stats()["data"]["cmd-watch"] == 3


def test_an_empty_watch_list_becomes_the_default_one(
    conn: serverconn.ServerConn,
) -> None:
    conn.watchlist = ["a"]
    empty: list[str] = []
    conn.watchlist = empty
    assert conn.watchlist == empty == ["default"]
    with pytest.raises(AttributeError):
        conn.watchlist = ()  # type: ignore[assignment] # that is it


def test_the_used_tube_can_only_be_read(conn: serverconn.ServerConn) -> None:
    assert conn.tube == "default"
    conn.use("orders")
    assert conn.tube == "orders"
    with pytest.raises(AttributeError):
        conn.tube = "x"  # type: ignore[misc] # that is it


# The commands


def test_the_defaults_of_put(conn: serverconn.ServerConn) -> None:
    assert same({"jid": 1, "state": "ok"}, conn.put("a"))
    data = conn.stats_job(1)["data"]
    assert (data["pri"], data["delay"], data["ttr"]) == (1, 0, 60)


def test_the_arguments_have_names(conn: serverconn.ServerConn) -> None:
    conn.put(data="a", pri=5, delay=6, ttr=7)
    data = conn.stats_job(jid=1)["data"]
    assert (data["pri"], data["delay"], data["ttr"]) == (5, 6, 7)


def test_a_job_is_reserved_released_and_deleted(conn: serverconn.ServerConn) -> None:
    reply = {"data": "a", "jid": 1, "bytes": 1, "state": "ok"}
    conn.put("a", pri=9)
    assert same(reply, conn.reserve())
    assert same({"state": "ok"}, conn.touch(1))
    assert same({"state": "ok"}, conn.release(1))
    assert conn.stats_job(1)["data"]["pri"] == 1
    assert same(reply, conn.reserve_with_timeout(5))
    assert same({"state": "ok"}, conn.release(1, 3, delay=4))
    assert same(reply, conn.peek_delayed())
    assert same({"state": "ok"}, conn.delete(1))


def test_a_job_is_buried_and_kicked(conn: serverconn.ServerConn) -> None:
    for _ in range(12):
        conn.put("a")
        conn.bury(conn.reserve()["jid"])
    assert conn.stats_job(1)["data"]["pri"] == 1
    reply = {"data": "a", "jid": 1, "bytes": 1, "state": "ok"}
    assert same(reply, conn.peek_buried())
    assert same({"count": 10, "state": "ok"}, conn.kick())
    assert same(reply, conn.peek_ready())
    assert same(reply, conn.peek(1))
    conn.reserve()
    assert same({"state": "ok"}, conn.bury(1, 8))
    assert conn.stats_job(1)["data"]["pri"] == 8


def test_reserve_with_timeout_returns_without_a_job(
    fake: FakeBeanstalkd, conn: serverconn.ServerConn
) -> None:
    started = fake.clock.now()
    assert same({"state": "timeout"}, conn.reserve_with_timeout())
    assert fake.clock.now() == started
    assert same({"state": "timeout"}, conn.reserve_with_timeout(30))
    assert fake.clock.now() == started + 30
    with pytest.raises(AttributeError, match=r"^timeout must be greater than 0$"):
        conn.reserve_with_timeout(-1)


def test_tubes_are_used_watched_and_ignored(conn: serverconn.ServerConn) -> None:
    assert same({"tube": "orders", "state": "ok"}, conn.use("orders"))
    assert same({"tube": "orders", "state": "ok"}, conn.list_tube_used())
    assert same({"count": 2, "state": "ok"}, conn.watch("emails"))
    reply = {"data": ["default", "emails"], "state": "ok", "bytes": 23}
    assert same(reply, conn.list_tubes_watched())
    assert same({"count": 1, "state": "ok"}, conn.ignore("default"))
    assert same({"count": 1, "state": "ok"}, conn.ignore("unwatched"))
    assert sorted(conn.list_tubes()["data"]) == ["default", "emails", "orders"]


def test_numbers_in_replies_are_integers(conn: serverconn.ServerConn) -> None:
    assert conn.use("123") == {"tube": 123, "state": "ok"}
    assert conn.use("1_0") == {"tube": "1_0", "state": "ok"}


def test_statistics_have_the_types_of_yaml(conn: serverconn.ServerConn) -> None:
    stats = conn.stats()
    assert ["data", "state", "bytes"] == list(stats)
    data = stats["data"]
    assert data["draining"] is False
    assert data["version"] == "1.12"
    assert data["os"] is None  # the server forgot the quotes
    assert isinstance(data["rusage-utime"], float)
    assert list(data)[:2] == ["current-jobs-urgent", "current-jobs-ready"]
    conn.put("a")
    assert ["data", "state", "bytes"] == list(conn.stats_job(1))
    assert conn.stats_job(1)["data"]["state"] == "ready"
    assert list(conn.stats_tube("default")["data"].items())[:2] == [
        ("name", "default"),
        ("current-jobs-urgent", 1),
    ]


@pytest.mark.parametrize(
    "name",
    [
        "0",
        "-7",
        "+7",
        "1_000",
        "010",
        "08",
        "0x1F",
        "0b101",
        "1.5",
        "-1.5e+3",
        "1.5e3",
        ".5",
        "1e5",
        "yes",
        "False",
        "OFF",
        "oN",
        "null",
        "~",
        '"1.12"',
        "#1 SMP",
        "orders",
        "e35b74aec5d49fe8",
    ],
)
def test_yaml_is_read_as_a_real_reader_does(name: str) -> None:
    for text in (f"---\n- {name}\n- a\n", f"---\nname: {name}\nb: 1\n"):
        expected = yaml.safe_load(text)
        assert repr(expected) == repr(protohandler.load_yaml(text))


# The bodies


def test_a_body_comes_back_as_it_was_put(conn: serverconn.ServerConn) -> None:
    for body in ("", "a\r\n", "RESERVED 1 1\r\n", "x" * 65534):
        conn.put(body)
        assert conn.peek_ready()["data"] == body
        conn.delete(conn.reserve()["jid"])


def test_bytes_beyond_ascii_survive_a_round_trip(
    fake: FakeBeanstalkd, conn: serverconn.ServerConn
) -> None:
    conn.put(b"\xe9\xff")
    body = conn.reserve()["data"]
    assert body == "\udce9\udcff"
    assert conn.put(body)["jid"] == 2
    assert fake.broker.peek(2).body == b"\xe9\xff"


def test_text_beyond_ascii_cannot_be_sent(conn: serverconn.ServerConn) -> None:
    with pytest.raises(errors.ProtoError) as caught:
        conn.put("\xe9")
    assert (errors.ProtoError, ()) == (type(caught.value), caught.value.args)
    assert conn.put("e") == {"jid": 1, "state": "ok"}


def test_what_has_no_length_is_no_body(conn: serverconn.ServerConn) -> None:
    with pytest.raises(TypeError):
        conn.put(42)


# The errors


@pytest.mark.parametrize(
    ("command", "error", "word"),
    [
        pytest.param(
            lambda c: c.delete(7), errors.NotFound, "NOT_FOUND", id="delete(7)"
        ),
        pytest.param(
            lambda c: c.release(7), errors.NotFound, "NOT_FOUND", id="release(7)"
        ),
        pytest.param(lambda c: c.bury(7), errors.NotFound, "NOT_FOUND", id="bury(7)"),
        pytest.param(lambda c: c.touch(7), errors.NotFound, "NOT_FOUND", id="touch(7)"),
        pytest.param(lambda c: c.peek(7), errors.NotFound, "NOT_FOUND", id="peek(7)"),
        pytest.param(
            lambda c: c.peek_ready(), errors.NotFound, "NOT_FOUND", id="peek_ready()"
        ),
        pytest.param(
            lambda c: c.peek_delayed(),
            errors.NotFound,
            "NOT_FOUND",
            id="peek_delayed()",
        ),
        pytest.param(
            lambda c: c.peek_buried(), errors.NotFound, "NOT_FOUND", id="peek_buried()"
        ),
        pytest.param(
            lambda c: c.stats_job(7), errors.NotFound, "NOT_FOUND", id="stats_job(7)"
        ),
        pytest.param(
            lambda c: c.stats_tube("x"),
            errors.NotFound,
            "NOT_FOUND",
            id='stats_tube("x")',
        ),
        pytest.param(
            lambda c: c.ignore("default"),
            errors.NotIgnored,
            "NOT_IGNORED",
            id='ignore("default")',
        ),
        pytest.param(
            lambda c: c.put("a", delay=-1),
            errors.BadFormat,
            "BAD_FORMAT",
            id='put("a", delay=-1)',
        ),
        pytest.param(
            lambda c: c.put("a", pri=2**32),
            errors.BadFormat,
            "BAD_FORMAT",
            id='put("a", pri=2**32)',
        ),
        pytest.param(
            lambda c: c.put({"a": 1}),
            errors.ExpectedCrlf,
            "EXPECTED_CRLF",
            id='put({"a": 1})',
        ),
    ],
)
def test_what_the_server_refuses_is_raised(
    conn: serverconn.ServerConn,
    command: Callable[[serverconn.ServerConn], Any],
    error: type[Exception],
    word: str,
) -> None:
    with pytest.raises(error) as caught:
        command(conn)
    assert (error, (f"Server returned: {word}",)) == (
        type(caught.value),
        caught.value.args,
    )


def test_a_draining_server_takes_no_job(
    fake: FakeBeanstalkd, conn: serverconn.ServerConn
) -> None:
    fake.drain()
    with pytest.raises(errors.Draining):
        conn.put("a")


def test_who_holds_an_expiring_job_is_warned(conn: serverconn.ServerConn) -> None:
    conn.put("a", ttr=1)
    conn.reserve()
    with pytest.raises(errors.DeadlineSoon):
        conn.reserve()


def test_every_error_word_has_its_class() -> None:
    for word, base in {
        "BAD_FORMAT": errors.ProtoError,
        "UNKNOWN_COMMAND": errors.ProtoError,
        "EXPECTED_CRLF": errors.ProtoError,
        "JOB_TOO_BIG": errors.ProtoError,
        "NOT_FOUND": errors.ProtoError,
        "NOT_IGNORED": errors.ProtoError,
        "DEADLINE_SOON": errors.ProtoError,
        "OUT_OF_MEMORY": errors.ServerError,
        "INTERNAL_ERROR": errors.ServerError,
        "DRAINING": errors.ServerError,
    }.items():
        with pytest.raises(base, match=f"^Server returned: {word}$") as caught:
            errors.checkError(word)
        assert type(caught.value).__name__ == word.title().replace("_", "")
    errors.checkError("RESERVED 1 1")  # is fine


def test_the_errors_are_a_tree() -> None:
    for error, base in {
        errors.JobError: errors.FailureError,
        errors.UnexpectedResponse: errors.ProtoError,
        errors.ProtoError: errors.BeanStalkError,
        errors.ServerError: errors.BeanStalkError,
        errors.NotConnected: errors.BeanStalkError,
        errors.BeanStalkError: Exception,
        errors.FailureError: Exception,
    }.items():
        assert error.__bases__ == (base,)


@pytest.mark.parametrize(
    "command",
    [
        lambda c: c.use("-orders"),
        lambda c: c.watch("x" * 201),
        lambda c: c.ignore(""),
        lambda c: c.stats_tube("a b"),
    ],
    ids=["use", "watch", "ignore", "stats_tube"],
)
def test_an_illegal_name_is_not_even_sent(
    conn: serverconn.ServerConn, command: Callable[[serverconn.ServerConn], Any]
) -> None:
    with pytest.raises(errors.BadFormat, match=r"^Illegal name$"):
        command(conn)
    assert conn.tube == "default"


def test_a_peek_without_an_id_cannot_be_sent(conn: serverconn.ServerConn) -> None:
    with pytest.raises(errors.ProtoError) as caught:
        conn.peek()
    assert (errors.ProtoError, ()) == (type(caught.value), caught.value.args)


def test_a_malformed_put_leaves_the_connection_out_of_step(
    conn: serverconn.ServerConn,
) -> None:
    with pytest.raises(errors.BadFormat):
        conn.put("a", delay=-1)
    with pytest.raises(errors.UnexpectedResponse) as caught:
        conn.stats()
    assert caught.value.args == ("Response was: COMMAND ",)


def test_a_reply_with_other_fields_is_another_reply(
    conn: serverconn.ServerConn,
) -> None:
    conn.put("a")
    conn.reserve()
    conn._socket.sendall(b"bury 1 0\r\n")  # BURIED without an id
    with pytest.raises(errors.UnexpectedResponse, match=r"^Response was: BURIED $"):
        conn.put("b")


def test_a_body_that_is_too_long_is_noticed(conn: serverconn.ServerConn) -> None:
    conn.put("")
    conn.put("")
    conn._socket.sendall(b"reserve\r\n")
    with pytest.raises(
        errors.ExpectedCrlf, match=r"^Data not properly sent from server$"
    ):
        conn.reserve()


# The job


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
