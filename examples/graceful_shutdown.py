"""What a container platform, a service manager or Ctrl-C does to a worker.

At the first SIGTERM (or SIGINT) the worker takes no more jobs and finishes the current
one; ``run`` returns, and the exit code is 0. At a second one, and at the end of the
``stop_timeout``, it gives the job back to its tube at once; after a second signal the
exit code is 143 (130 for SIGINT), as the platform expects of a program that was killed.
Jobs live in memory: who wants to keep what is left, looks at it before the end.

``graceful_shutdown.py 60`` packs for a minute, and waits for your signals. Without a
number, it is fast and sends one to itself.

Prints:
    Worker for 'orders' started with 1 thread
    packs piano
    Worker is stopping, 1 job in hand
    has packed piano
    Worker stopped
    left over: ['scarf']
"""

from __future__ import annotations

import logging
import os
import signal
import sys
from threading import Event

from inproc_tubes import Broker, Job
from inproc_tubes.worker import Worker

broker: Broker[str] = Broker()
worker = Worker(broker, stop_timeout=25)  # Kubernetes kills after 30 s, Docker after 10
seconds = float(sys.argv[1]) if len(sys.argv) > 1 else None


@worker.handles("orders")
def pack(job: Job[str]) -> None:
    """Pack something, step by step, as long as the job is not lost."""
    print(f"packs {job.body}", flush=True)
    if seconds is None:
        os.kill(os.getpid(), signal.SIGTERM)
    for _ in range(int(seconds or 1) * 10):
        Event().wait(0.1)
        if job.lost:
            return
    print(f"has packed {job.body}", flush=True)


logging.basicConfig(level="INFO", stream=sys.stdout, format="%(message)s")
broker.producer("orders").put_many(["piano", "scarf"])
try:
    worker.run()
finally:
    print("left over:", [job.body for job in broker.jobs("orders")], flush=True)
