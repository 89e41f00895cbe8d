"""Exceptions that come at random, as a program's own would, lose no job.

They are raised by a signal handler, and by ``PyThreadState_SetAsyncExc``: 300 of each, and
100,000 with ``--soak``. Each kind is a program of its own. An exception in the middle of
the function that measures coverage would switch that off; and while an asynchronous one
waits for its thread, CPython 3.11 hangs in all others that are traced.
"""

from __future__ import annotations

import pytest

from tests.robustness.processes import run
from tests.robustness.random_scene import Scene

PREPARED = """
import gc, signal, sys, warnings
from ctypes import c_ulong, py_object, pythonapi
from random import Random
from threading import Lock, get_ident
from tests.robustness.injection import Interrupt
from tests.robustness.random_scene import Scene
from tests.threads import LONG, start

sys.setswitchinterval(1e-5)
gc.disable()  # what a finaliser is interrupted by is reported, and lost
# The text of a job's error shows lines of the source, whose file may stay open.
warnings.simplefilter("ignore", ResourceWarning)
hits = int(sys.argv[1])
scene = Scene()
"""

SIGNALS = """
def handle(number, frame):
    raise Interrupt

signal.signal(signal.SIGALRM, handle)
for _ in range(hits):
    try:
        signal.setitimer(signal.ITIMER_REAL, scene.random.uniform(1e-6, 3e-4))
        while True:
            scene.step()
    except Interrupt:
        scene.look()
scene.account()
print("done")
"""

ASYNCHRONOUS = """
gate = Lock()  # released when an interrupt may come
gate.acquire()
victims = []

def work():
    victims.append(get_ident())
    for _ in range(hits):
        try:
            gate.release()
            while True:
                scene.step()
        except Interrupt:
            scene.look()

victim = start(work)
random = Random(11)
for _ in range(hits):
    assert gate.acquire(timeout=LONG), victim.result(0)
    for _ in range(random.randrange(300)):
        pass
    pythonapi.PyThreadState_SetAsyncExc(c_ulong(victims[0]), py_object(Interrupt))
victim.result(LONG)
scene.account()
print("done")
"""


@pytest.mark.parametrize("kind", [SIGNALS, ASYNCHRONOUS], ids=["signals", "threads"])
def test_an_exception_at_random_loses_nothing(
    kind: str, pytestconfig: pytest.Config
) -> None:
    hits = 100_000 if pytestconfig.getoption("soak") else 300
    assert "done\n" == run(PREPARED + kind, str(hits), timeout=60 + hits / 100)


def test_the_books_are_right_without_an_exception() -> None:
    scene = Scene()
    for verb in scene.verbs:
        # Each once where it has a job and room, whatever the bystander does.
        scene.broker.limit_tube("small", 0)
        scene.put_small()
        scene.call(verb)
    for _ in range(20):
        for verb in scene.verbs:
            scene.call(verb)
        scene.step()
        scene.look()
    scene.account()
