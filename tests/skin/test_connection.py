"""pybeanstalk's connection, without pybeanstalk: which server it reaches, and its state."""

from __future__ import annotations

import gc
import logging

import pytest

from inproc_tubes import DeadlockError
from inproc_tubes.fakes import FakeBeanstalkd
from inproc_tubes.fakes.beanstalk import errors, protohandler, serverconn
from tests.skin.shared import HOST, PORT

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


def test_a_reserve_that_would_wait_for_ever_raises(conn: serverconn.ServerConn) -> None:
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
