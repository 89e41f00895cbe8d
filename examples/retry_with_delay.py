"""A job that fails is tried again, a little later each time.

The job counts by itself how often it was released, and the tube keeps it until its
delay is over: there is nothing to remember and no timer to start.

Prints:
    try 1: the line is busy, again in 0.1 s
    try 2: the line is busy, again in 0.2 s
    try 3: the line is busy, again in 0.4 s
    try 4: delivered 'Happy birthday!'
"""

from __future__ import annotations

from inproc_tubes import Broker, Job

FIRST_DELAY = 0.1


def deliver(job: Job) -> None:
    """Call somebody whose line is busy three times."""
    if job.releases < 3:  # noqa: PLR2004  # the example's own number
        raise ConnectionError
    print(f"try {job.reserves}: delivered {job.body!r}")


with Broker() as broker:
    broker.producer("calls").put("Happy birthday!")
    consumer = broker.consumer("calls")

    for job in consumer:  # waits until the delay is over
        try:
            deliver(job)
        except Exception as error:  # noqa: BLE001  # whatever a job fails with
            delay = FIRST_DELAY * 2**job.releases
            print(f"try {job.reserves}: the line is busy, again in {delay:g} s")
            job.release(delay=delay, error=error)  # which stays with it, as job.error
        else:
            job.delete()
            break
