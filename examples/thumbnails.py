"""A pipeline with all that one in production needs, in 25 lines of glue.

Uploads become thumbnails, and those become mails. What is nearer to its end is more
urgent. What fails is tried again, a little later each time, and is buried after four
tries with the reason. A picture that takes longer than its second keeps its job, as its
heart beats. The tube of uploads is bounded, so that a flood of them has to wait. Now and
then there is a line about where things are. And SIGTERM ends it all when the current
jobs are done.

Prints:
    mail: cat.png has a thumbnail
    shrinks huge.png, and the platform sends SIGTERM
    has shrunk huge.png after 3 s
    Worker stopped
    left over: ['huge.png has a thumbnail']
    buried: ['notes.txt']
"""

from __future__ import annotations

import logging
import os
import signal
import sys
from threading import Event, Thread

from inproc_tubes import Broker, Job
from inproc_tubes.worker import Backoff, Worker

# The application


def decode(name: str) -> str:
    """Look whether this is a picture."""
    if name == "notes.txt":
        message = "no picture"
        raise ValueError(message)
    return name


def shrink(picture: str) -> str:
    """Make a thumbnail of a picture."""
    if picture == "huge.png":
        print(f"shrinks {picture}, and the platform sends SIGTERM", flush=True)
        os.kill(os.getpid(), signal.SIGTERM)
        Event().wait(3)
        print(f"has shrunk {picture} after 3 s", flush=True)
    return picture


def customers() -> None:
    """Upload this and that."""
    for name in ("cat.png", "notes.txt"):
        uploads.put(name)
        broker.join("uploads", "thumbnails", "mails")
    uploads.put("huge.png")


# The glue

broker: Broker[str] = Broker()
broker.limit_tube("uploads", 2)
uploads = broker.producer("uploads")
thumbnails, mails = broker.producer("thumbnails"), broker.producer("mails")
worker = Worker(broker, threads=3, retry=Backoff(first=0.05, max_tries=4))


@worker.handles("uploads")
def check(job: Job[str]) -> None:
    """Pass on what is a picture."""
    thumbnails.put(decode(job.body), priority=100, ttr=1)


@worker.handles("thumbnails")
def make(job: Job[str]) -> None:
    """Pass on what has a thumbnail."""
    mails.put(f"{shrink(job.body)} has a thumbnail", priority=10)


@worker.handles("mails")
def send(job: Job[str]) -> None:
    """Tell the customer."""
    print(f"mail: {job.body}", flush=True)


@worker.handles("status")
def tell(_job: Job[str]) -> None:
    """Tell where things are."""
    print(broker, flush=True)


worker.every(0.1, "status", "", priority=0)
logging.basicConfig(level="INFO", stream=sys.stdout, format="%(message)s")
Thread(target=customers).start()
worker.run()
print("left over:", [job.body for job in broker.jobs("mails")])
print("buried:", [job.body for job in broker.jobs("uploads", "buried")])
