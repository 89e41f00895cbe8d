"""A program that is interrupted at random, and its books.

A *victim* calls verbs. A *bystander*, in another thread, waits for jobs and works them
off. Afterwards every job that was put is accounted for.
"""

from __future__ import annotations

from collections import Counter
from contextlib import suppress
from itertools import count
from random import Random
from typing import TYPE_CHECKING

from inproc_tubes import Broker, Consumer, TubesError
from inproc_tubes.core.recovery import check
from tests.threads import LONG, start

if TYPE_CHECKING:
    from collections.abc import Callable

_STOP = -1  # the body that ends the bystander's work


class Scene:
    """The victim's verbs, the bystander, and the books of both."""

    def __init__(self) -> None:
        self.random = Random(10)  # noqa: S311 - it is to be the same each time
        self.broker: Broker[int] = Broker()
        self.broker.limit_tube("small", 3)
        self.producer = self.broker.producer("work")
        self.consumer: Consumer[int] = self.broker.consumer("work", "small")
        self.other: Consumer[int] = self.broker.consumer("small")
        self.bodies = count()
        self.begun: list[list[int]] = []  # put, or tried to be, together
        self.put: set[int] = set()
        self.deleted: set[int] = set()  # or tried to be
        self.worked: list[int] = []
        # A finaliser would swallow an exception. So they live until `look`.
        self.spent: list[Consumer[int]] = []
        self.verbs: list[Callable[[], object]] = [
            self.put_one,
            self.put_one,
            self.put_small,
            self.put_delayed,
            self.put_many,
            self.work,
            self.work,
            self.work_in_block,
            self.work_in_loop,
            self.work_many,
            self.give_back,
            self.give_back_later,
            self.set_aside,
            self.reserve_and_wait,
            self.fail,
            self.be_interrupted,
            self.stop_a_consumer,
            lambda: self.broker.kick("work", 5),
            lambda: self.broker.pause_tube("work", 0.001),
            lambda: self.broker.pause_tube("work", 0),
            lambda: self.broker.limit_tube("small", self.random.randint(2, 4)),
            lambda: self.consumer.watch("third"),
            lambda: self.consumer.ignore("third"),
            lambda: self.broker.join("small", timeout=0.001),
        ]
        self.bystander = start(self.stand_by)

    # The bystander

    def stand_by(self) -> None:
        """Work off what comes."""
        with self.broker.consumer("work") as consumer:
            while _STOP not in self.worked[-1:]:
                job = consumer.reserve()
                self.worked.append(job.body)
                job.delete()

    # The victim

    def step(self) -> None:
        """Call one of the verbs."""
        self.call(self.random.choice(self.verbs))

    def call(self, verb: Callable[[], object]) -> None:
        """Call a verb, which may be refused."""
        with suppress(TubesError):
            verb()

    def new(self, number: int) -> list[int]:
        """Return bodies that are going to be put."""
        bodies = [next(self.bodies) for _ in range(number)]
        self.begun.append(bodies)
        return bodies

    def put_one(self) -> None:
        (body,) = self.new(1)
        self.producer.put(body, priority=self.random.choice([7, 2**16]))
        self.put.add(body)

    def put_small(self) -> None:
        (body,) = self.new(1)
        self.producer.put(body, tube="small", timeout=0.001)
        self.put.add(body)

    def put_delayed(self) -> None:
        (body,) = self.new(1)
        self.producer.put(body, delay=0.0005)
        self.put.add(body)

    def put_many(self) -> None:
        bodies = self.new(3)
        self.producer.put_many(bodies)
        self.put.update(bodies)

    def work(self) -> None:
        job = self.consumer.reserve(timeout=0)
        self.deleted.add(job.body)
        job.delete()

    def work_in_block(self) -> None:
        with self.consumer.reserve(timeout=0) as job:
            self.deleted.add(job.body)

    def work_in_loop(self) -> None:
        self.put_small()
        job = next(self.other)
        self.deleted.add(job.body)
        self.other.delete(job.id)

    def work_many(self) -> None:
        for job in self.consumer.reserve_many(3, timeout=0):
            self.deleted.add(job.body)
            self.consumer.delete(job)

    def give_back(self) -> None:
        job = self.consumer.reserve(timeout=0)
        job.touch()
        job.release()

    def give_back_later(self) -> None:
        self.consumer.reserve(timeout=0).release(delay=0.0005)

    def set_aside(self) -> None:
        self.other.reserve(timeout=0).bury()

    def reserve_and_wait(self) -> None:
        self.put_small()
        job = self.other.reserve(timeout=0.001)
        self.deleted.add(job.body)
        job.delete()

    def fail(self) -> None:
        with suppress(ZeroDivisionError), self.other.reserve(timeout=0):
            raise ZeroDivisionError

    def be_interrupted(self) -> None:
        with suppress(GeneratorExit), self.other.reserve(timeout=0):
            raise GeneratorExit

    def stop_a_consumer(self) -> None:
        consumer = self.broker.consumer("small")
        self.spent.append(consumer)
        with consumer:
            self.put_small()
            for job in consumer:
                consumer.stop()
                with job:
                    self.deleted.add(job.body)

    # The books

    def look(self) -> None:
        """Check the engine after an interrupt, while none can come."""
        self.spent.clear()
        lock = self.broker._monitor.lock
        self.broker.tubes()
        assert not lock._is_owned()  # type: ignore[attr-defined]  # as the monitor asks
        with lock:
            check(self.broker._engine)

    def account(self) -> None:
        """End everything, and check what has become of each job."""
        self.broker.pause_tube("work", 0)
        self.producer.put(_STOP, priority=2**32 - 1)
        self.bystander.result(LONG)
        self.consumer.close()
        self.other.close()
        left = [
            job.body for tube in self.broker.tubes() for job in self.broker.jobs(tube)
        ]
        there = Counter(left + self.worked)
        there.pop(_STOP)
        assert {1} == set(there.values())
        accounted = {*there, *self.deleted}
        assert self.put <= accounted
        for bodies in self.begun:
            gone = set(bodies) - accounted
            assert gone in (set(), set(bodies))  # all or none were put
        stats = self.broker.stats()
        assert stats.current_jobs_ready + stats.current_jobs_delayed + (
            stats.current_jobs_buried
        ) == len(left)
        self.broker.close()
