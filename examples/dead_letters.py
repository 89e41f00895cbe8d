"""Jobs that cannot be done are buried, looked at, and kicked back to life.

A job's with-block deletes it when it is left normally, and buries it when it fails. A
buried job is out of everybody's way, but it is not lost, and it tells what it failed
with.

Prints:
    Ann's age is 42
    cannot do 'Ben: unknown': the job is buried
    Cleo's age is 7

    1 buried; the first is 'Ben: unknown'
    try 1: ValueError: invalid literal for int() with base 10: 'unknown'

    the bug is mended; kicked: 1
    Ben's age is not known
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from inproc_tubes import Broker, Consumer

if TYPE_CHECKING:
    from collections.abc import Callable


def print_age(line: str) -> None:
    """Print a line of the form "name: age"."""
    name, age = line.split(": ")
    print(f"{name}'s age is {int(age)}")


def print_age_mended(line: str) -> None:
    """Print a line of the form "name: age", where the age may be unknown."""
    name, age = line.split(": ")
    print(f"{name}'s age is {age.replace('unknown', 'not known')}")


def work(consumer: Consumer, do: Callable[[str], None], count: int) -> None:
    """Do so many jobs, and go on where one fails."""
    for _ in range(count):
        job = consumer.reserve()
        try:
            with job:
                do(job.body)
        except Exception:  # noqa: BLE001  # whatever a job fails with
            print(f"cannot do {job.body!r}: the job is buried")


with Broker() as broker:
    producer = broker.producer("ages")
    consumer = broker.consumer("ages")
    for line in ("Ann: 42", "Ben: unknown", "Cleo: 7"):
        producer.put(line)
    work(consumer, print_age, 3)

    buried = broker.jobs("ages", "buried")
    print(f"\n{len(buried)} buried; the first is {buried[0].body!r}")
    if error := buried[0].error:
        print(f"try {error.attempt}: {error.headline}")

    print(f"\nthe bug is mended; kicked: {broker.kick('ages', 10)}")
    work(consumer, print_age_mended, 1)
