"""Where beanstalkds are."""

from __future__ import annotations

from typing import Any

import pytest

from inproc_tubes import Broker, make_broker
from inproc_tubes.remote import RemoteBroker, connect
from inproc_tubes.remote.addresses import addresses_in
from inproc_tubes.testing import FakeClock


@pytest.mark.parametrize(
    ("url", "addresses"),
    [
        ("beanstalk://localhost", [("localhost", 11300)]),
        ("beanstalk://localhost:11301/", [("localhost", 11301)]),
        ("beanstalk://[::1]:5", [("::1", 5)]),
        ("beanstalk://[fe80::1%eth0]", [("fe80::1%eth0", 11300)]),
        (
            "beanstalk://b\N{LATIN SMALL LETTER U WITH DIAERESIS}ro",
            [("b\N{LATIN SMALL LETTER U WITH DIAERESIS}ro", 11300)],
        ),
        ("beanstalk://a,b:7,c", [("a", 11300), ("b", 7), ("c", 11300)]),
    ],
)
def test_a_url_names_one_server_or_several(
    url: str, addresses: list[tuple[str, int]]
) -> None:
    assert addresses == addresses_in(url)


@pytest.mark.parametrize(
    "url",
    [
        "",
        "localhost",
        "beanstalk:",
        "beanstalk://",
        "beanstalk:///",
        "http://localhost",
        "beanstalk://localhost:99999",
        "beanstalk://localhost:0",
        "beanstalk://localhost:x",
        "beanstalk://user@localhost",
        "beanstalk://localhost/path",
        "beanstalk://a,,b",
        "beanstalk://:11300",
        "beanstalk://a host",
        "beanstalk://host\0",
        "beanstalk://a..b",
        f"beanstalk://{'a' * 64}",
    ],
)
def test_any_other_url_is_refused(url: str) -> None:
    with pytest.raises(ValueError, match=r"^a URL is like beanstalk://host:11300, or "):
        addresses_in(url)


def test_a_server_is_named_once() -> None:
    with pytest.raises(ValueError, match=r"names a server twice$"):
        addresses_in("beanstalk://a,b,a:11300")


def test_a_url_is_a_str() -> None:
    with pytest.raises(TypeError, match=r"^a URL is a str, not bytes$"):
        addresses_in(b"beanstalk://a")


@pytest.mark.parametrize(
    ("arguments", "error"),
    [
        ({"answer_timeout": 0}, ValueError),
        ({"answer_timeout": "1"}, TypeError),
        ({"reconnect_timeout": -1}, ValueError),
        ({"reconnect_timeout": "1"}, TypeError),
    ],
)
def test_a_wrong_timeout_is_refused(
    arguments: dict[str, Any], error: type[Exception]
) -> None:
    with pytest.raises(error):
        connect("beanstalk://localhost", **arguments)


# make_broker


def test_a_url_chooses_the_broker() -> None:
    clock = FakeClock()
    for url, kind in (("memory://", Broker), ("beanstalk://x", RemoteBroker)):
        broker = make_broker(url, clock=clock)
        assert (kind, clock) == (type(broker), broker.clock)


def test_there_are_but_two_kinds_of_brokers() -> None:
    with pytest.raises(
        ValueError, match=r"^a URL is memory:// or beanstalk://host:113"
    ):
        make_broker("redis://localhost")
    with pytest.raises(TypeError, match=r"^a URL is a str, not int$"):
        make_broker(5)  # type: ignore[arg-type]  # that is the point
