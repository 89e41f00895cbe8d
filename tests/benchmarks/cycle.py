"""One thread's put + reserve + delete beside queue.PriorityQueue's cycle.

    python -m tests.benchmarks.cycle

Both are measured in turns, so that a machine that grows slower or faster meanwhile
does so for both; what counts is the median of the pairs' ratios.
"""

from __future__ import annotations

import gc
import platform
import sys
from queue import PriorityQueue
from statistics import median
from time import perf_counter
from typing import TYPE_CHECKING

from inproc_tubes import Broker

if TYPE_CHECKING:
    from collections.abc import Callable

PAIRS = 9
CYCLES = 20_000
TARGET = 2.0


def cycle_of_priority_queue(cycles: int) -> None:
    """Do what `PriorityQueue` has: put, get, task_done."""
    jobs: PriorityQueue[tuple[int, str]] = PriorityQueue()
    for _ in range(cycles):
        jobs.put((65536, "body"))
        jobs.get()
        jobs.task_done()


def cycle_of_tubes(cycles: int) -> None:
    """Put, reserve and delete through the public handles."""
    with Broker() as broker:
        producer = broker.producer()
        consumer = broker.consumer()
        for _ in range(cycles):
            producer.put("body")
            consumer.reserve(timeout=0).delete()


def microseconds(cycle: Callable[[int], None]) -> float:
    """Return what one cycle takes."""
    gc.collect()
    start = perf_counter()
    cycle(CYCLES)
    return (perf_counter() - start) / CYCLES * 1e6


def main() -> None:
    """Print each pair, and what comes of them."""
    say = sys.stdout.write
    say(f"{platform.python_implementation()} {platform.python_version()}, ")
    say(f"{CYCLES} cycles each, microseconds for a cycle\n")
    # Warm up: the interpreter specialises what runs often.
    microseconds(cycle_of_priority_queue)
    microseconds(cycle_of_tubes)
    ratios = []
    for pair in range(1, PAIRS + 1):
        theirs = microseconds(cycle_of_priority_queue)
        ours = microseconds(cycle_of_tubes)
        ratios.append(ours / theirs)
        say(f"{pair}: PriorityQueue {theirs:.2f}, tubes {ours:.2f}, ")
        say(f"ratio {ratios[-1]:.2f}\n")
    say(f"median ratio {median(ratios):.2f} ({min(ratios):.2f}..{max(ratios):.2f}), ")
    say(f"target: at most {TARGET}\n")


if __name__ == "__main__":
    main()
