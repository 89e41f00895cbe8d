"""`Broker.snapshot`: all of a broker in one instant."""

from __future__ import annotations

import os
from dataclasses import FrozenInstanceError, asdict
from threading import Thread
from typing import TYPE_CHECKING

import pytest

from inproc_tubes import Broker, ClosedError, Consumer, HandleStats, Job, Producer

if TYPE_CHECKING:
    from inproc_tubes.testing import FakeClock


def test_it_has_the_statistics_of_the_broker_and_of_each_tube(
    clock: FakeClock, broker: Broker, producer: Producer
) -> None:
    producer.put_many(["a", "b"], tube="orders")
    clock.advance(5)
    broker.pause_tube("orders", 10)
    seen = broker.snapshot()
    assert clock.now() == seen.now
    assert broker.tubes() == list(seen.tubes)
    for name, tube in seen.tubes.items():
        assert broker.stats_tube(name) == tube
    stats = seen.stats
    assert (2, 5, os.getpid()) == (stats.current_jobs_ready, stats.uptime, stats.pid)
    now = broker.stats()
    moving = {"cmd_list_tubes", "cmd_stats", "cmd_stats_tube", "rusage_utime"}
    moving.add("rusage_stime")
    same = {key: n for key, n in asdict(now).items() if key not in moving}
    assert same == {key: asdict(stats)[key] for key in same}
    assert now.cmd_stats == stats.cmd_stats + 1


def test_it_has_each_handle_what_it_is_called_and_holds_and_since_when(
    clock: FakeClock, broker: Broker
) -> None:
    begun = clock.now()
    shop = broker.producer("orders", name="shop")
    packer = broker.consumer("orders", name="packer-1")
    other = broker.async_consumer("orders", "returns", name="packer-2")
    shop.put_many(["scarf", "anvil", "piano"], ttr=60)
    clock.advance(1)
    packer.reserve()
    clock.advance(2)
    packer.reserve()
    packer.touch(1)
    clock.advance(3)
    seen = {handle.name: handle for handle in broker.snapshot().handles}
    assert ["shop", "packer-1", "packer-2"] == list(seen)
    assert ["producer", "consumer", "consumer"] == [h.kind for h in seen.values()]
    assert ("orders", ()) == (seen["shop"].using, seen["shop"].watching)
    assert ("orders", "returns") == seen["packer-2"].watching
    assert [(1, "orders", begun + 1, 57), (2, "orders", begun + 3, 57)] == [
        (held.id, held.tube, held.reserved_at, held.time_left)
        for held in seen["packer-1"].holds
    ]
    packer.close()
    assert ["shop", "packer-2"] == [h.name for h in broker.snapshot().handles]
    other.close()


def test_it_is_shown_in_a_line_and_cannot_be_changed(
    broker: Broker, consumer: Consumer, job: Job
) -> None:
    assert [1] == [held.id for h in broker.snapshot().handles for held in h.holds]
    seen = broker.snapshot()
    assert "<BrokerSnapshot at 1000000: 1 tube, 2 handles, 1 job held>" == repr(seen)
    with pytest.raises(FrozenInstanceError):
        seen.now = 5  # type: ignore[misc]  # on purpose
    with pytest.raises(FrozenInstanceError):
        seen.handles[0].name = "me"  # type: ignore[misc]  # on purpose
    consumer.delete(job)
    assert "1 job held" in repr(seen)
    assert "no jobs held" in repr(broker.snapshot())


def test_it_is_never_torn_while_tubes_come_and_go(broker: Broker) -> None:
    """Asked for one by one, a tube may be gone before its turn: this never is."""
    is_over = False

    def come_and_go() -> None:
        while not is_over:
            with broker.consumer("fleeting") as consumer, broker.producer() as shop:
                shop.put("x", tube="fleeting")
                consumer.reserve().delete()

    thread = Thread(target=come_and_go)
    thread.start()
    try:
        for _ in range(200):
            seen = broker.snapshot()
            held = [held for handle in seen.handles for held in handle.holds]
            reserved = [stats.current_jobs_reserved for stats in seen.tubes.values()]
            assert len(held) == sum(reserved) == seen.stats.current_jobs_reserved
            assert {one.tube for one in held} <= seen.tubes.keys()
            watched: list[HandleStats] = [h for h in seen.handles if h.watching]
            assert all({*h.watching} <= seen.tubes.keys() for h in watched)
    finally:
        is_over = True
        thread.join()


def test_a_closed_broker_has_none(broker: Broker) -> None:
    broker.close()
    with pytest.raises(ClosedError):
        broker.snapshot()
