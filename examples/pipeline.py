"""Three stages, few jobs between them, and a Ctrl-C that loses none of those.

Each tube may have two jobs. A stage that is slow fills its tube, and then the put of
the stage before it waits, and so on back to the source: nothing piles up. Each stage is
a worker of its own: one that did the jobs of all three could have all of its threads
wait for room that only it can make.

The main thread only waits, so that Ctrl-C interrupts no verb at work. Then the source
is closed, also if its put is waiting; what is in the pipeline goes through; and join
tells when there is nothing left. A stage puts its result before its job is deleted,
so there is no moment between the two in which the work seems to be over. (To drain the
broker would be wrong here: the stages could put no more, either.)

Prints:
    1 squared is 1
    2 squared is 4
    4 squared is 16
    5 squared is 25
    stopped by the end of the words: 5 in, 4 out, 1 buried
"""

from __future__ import annotations

import logging
from contextlib import ExitStack, suppress
from threading import Thread
from typing import TYPE_CHECKING

from inproc_tubes import Broker, ClosedError, Job
from inproc_tubes.worker import Worker

if TYPE_CHECKING:
    from collections.abc import Iterable

    from inproc_tubes import Producer

ROOM = 2  # jobs that a tube may have, those in work included


def feed(source: Producer, words: Iterable[str], fed: list[str]) -> None:
    """Put one word after the other, until there are no more or the source is closed."""
    with suppress(ClosedError):
        for word in words:
            source.put(word)
            fed.append(word)


def run(words: Iterable[str]) -> None:
    """Let the words go through, or as many as there are until Ctrl-C."""
    fed: list[str] = []
    out: list[str] = []
    stopped_by = "the end of the words"
    with Broker() as broker:
        for tube in ("words", "numbers", "lines"):
            broker.limit_tube(tube, ROOM)
        source = broker.producer("words")
        numbers = broker.producer("numbers")
        lines = broker.producer("lines")

        def parse(job: Job[str]) -> None:
            numbers.put(int(job.body))  # "three" is no number: it is buried

        def square(job: Job[int]) -> None:
            lines.put(f"{job.body} squared is {job.body**2}")

        def write(job: Job[str]) -> None:
            print(job.body)
            out.append(job.body)

        feeder = Thread(target=feed, args=(source, words, fed))
        with ExitStack() as stages:
            for tube, do in (("words", parse), ("numbers", square), ("lines", write)):
                stages.enter_context(Worker(broker, {tube: do}, retry=None))
            try:
                feeder.start()
                feeder.join()
            except KeyboardInterrupt:
                stopped_by = "Ctrl-C"
            source.close()
            feeder.join()
            buried = broker.join()
    print(f"stopped by {stopped_by}: ", end="")
    print(f"{len(fed)} in, {len(out)} out, {buried} buried")


if __name__ == "__main__":
    logging.getLogger("inproc_tubes.worker").setLevel(logging.CRITICAL)  # for the show
    run(["1", "2", "three", "4", "5"])
