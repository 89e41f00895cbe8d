"""gevent and eventlet may patch a program before, after and while a fake is active.

gevent's sockets are served, eventlet's are refused. Each test is a program of its own,
since a patch is for life. A real server listens at the fake's address in each.
"""

from __future__ import annotations

import importlib.util
import subprocess
import sys

import pytest

PROGRAM = """
import socket, sys, warnings
warnings.simplefilter("ignore")
listener = socket.create_server(("127.0.0.1", 0))
address = listener.getsockname()
{before}
from inproc_tubes.fakes import FakeBeanstalkd
from inproc_tubes.testing import FakeClock
{after}
fake = FakeBeanstalkd(address, clock=FakeClock())
fake.__enter__()
{during}
import greenstalk
{body}
fake.__exit__(None, None, None)
listener.settimeout(0)
try:
    listener.accept()
except BlockingIOError:
    print("nobody has come to the real server", flush=True)
"""

SERVED = """
import gevent
told = []
def work(number):
    with greenstalk.Client(address) as client:
        job = client.reserve()
        client.delete(job)
        try:
            client.reserve(timeout=10)
        except greenstalk.TimedOutError:
            told.append(job.body)
workers = [gevent.spawn(work, number) for number in range(3)]
while fake.broker._monitor.waiting < 3:
    gevent.sleep(0)
with greenstalk.Client(address) as client:
    for number in range(3):
        client.put(str(number))
    while len(told) < 3:
        fake.clock.advance(10)
        gevent.sleep(0)
print(*sorted(told), fake.connections)
gevent.joinall(workers)
"""

REFUSED = """
try:
    greenstalk.Client(address)
except OSError as error:
    print(error)
"""

GEVENT = "from gevent import monkey; monkey.patch_all()"
EVENTLET = "import eventlet; eventlet.monkey_patch()"

WHEN = pytest.mark.parametrize("when", ["before", "after", "during"])


def tell(patch: str, when: str, body: str) -> list[str]:
    places = dict.fromkeys(("before", "after", "during"), "") | {when: patch}
    result = subprocess.run(  # noqa: S603 - our own interpreter and script
        [sys.executable, "-c", PROGRAM.format(**places, body=body)],
        stdout=subprocess.PIPE,
        stderr=subprocess.DEVNULL,  # where eventlet tells what it could not patch
        text=True,
        timeout=60,
        check=True,
    )
    return result.stdout.splitlines()


@pytest.mark.skipif(importlib.util.find_spec("gevent") is None, reason="no gevent")
@WHEN
def test_gevents_sockets_are_served(when: str) -> None:
    told = tell(GEVENT, when, SERVED)
    assert told == ["0 1 2 0", "nobody has come to the real server"]


@pytest.mark.skipif(importlib.util.find_spec("gevent") is None, reason="no gevent")
def test_gevents_sockets_are_refused_where_nothing_is_patched() -> None:
    body = f"import gevent.socket; greenstalk.socket = gevent.socket\n{REFUSED}"
    refused, last = tell("", "before", body)
    assert "let it listen() on a port" in refused
    assert last == "nobody has come to the real server"


@pytest.mark.skipif(importlib.util.find_spec("eventlet") is None, reason="no eventlet")
@WHEN
def test_eventlets_sockets_are_refused(when: str) -> None:
    refused, last = tell(EVENTLET, when, REFUSED)
    assert "GreenSocket cannot be connected to a FakeBeanstalkd in memory" in refused
    assert "let it listen() on a port" in refused
    assert last == "nobody has come to the real server"
