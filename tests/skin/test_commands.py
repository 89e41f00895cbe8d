"""pybeanstalk's commands, without pybeanstalk, and the bodies that they carry."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest
import yaml

from inproc_tubes.fakes.beanstalk import errors, protohandler, serverconn
from tests.skin.shared import same

if TYPE_CHECKING:
    from inproc_tubes.fakes import FakeBeanstalkd

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
