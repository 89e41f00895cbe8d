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

from contextlib import suppress
from threading import Thread

from inproc_tubes import Broker

WORKERS = 4
LAST = 2**32 - 1  # the least urgent priority that there is


def work(broker: Broker) -> None:
    """Square numbers until there is a None to do."""
    results = broker.producer("results")
    with broker.consumer("numbers") as consumer:
        for job in consumer:
            with suppress(Exception), job:  # what fails is buried
                number = job.body
                if number is None:
                    return  # which deletes this last job, too
                results.put(f"{number} squared is {number**2}", priority=number)


with Broker() as broker:
    threads = [Thread(target=work, args=(broker,)) for _ in range(WORKERS)]
    for thread in threads:
        thread.start()

    numbers = broker.producer("numbers")
    for number in (3, 1, 6, 2, 5, 4):
        numbers.put(number)
    for _ in range(WORKERS):
        numbers.put(None, priority=LAST)
    for thread in threads:
        thread.join()

    inbox = broker.consumer("results")
    for _ in range(6):
        with inbox.reserve(timeout=0) as job:
            print(job.body)
print("all workers have gone home")
