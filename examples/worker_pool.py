"""Four threads share the work, and stop when there is no more.

Who computes what is chance. The results come in order all the same: they are jobs
too, and a job's priority says when its turn is.

Prints:
    1 squared is 1
    2 squared is 4
    3 squared is 9
    4 squared is 16
    5 squared is 25
    6 squared is 36
    all workers have gone home
"""

from __future__ import annotations

from inproc_tubes import Broker, Job
from inproc_tubes.worker import Worker

with Broker() as broker:
    worker = Worker(broker, threads=4)
    results = broker.producer("results")

    @worker.handles("numbers")
    def square(job: Job[int]) -> None:
        """Square a number. What fails is tried again, and buried in the end."""
        number = job.body
        results.put(f"{number} squared is {number**2}", priority=number)

    with worker:
        broker.producer("numbers").put_many([3, 1, 6, 2, 5, 4])
        broker.join("numbers")

    for job in broker.consumer("results").reserve_many(6):
        with job:
            print(job.body)
print("all workers have gone home")
