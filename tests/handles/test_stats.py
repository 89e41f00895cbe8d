"""Every field of the statistics."""

from __future__ import annotations

import os
import re
from dataclasses import FrozenInstanceError, asdict
from typing import TYPE_CHECKING

import pytest

import inproc_tubes
from inproc_tubes import (
    Broker,
    BrokerStats,
    Consumer,
    Job,
    JobStats,
    JobTooBigError,
    NotFoundError,
    Producer,
    TubeStats,
)
from tests.handles.shared import bodies

if TYPE_CHECKING:
    from inproc_tubes.testing import FakeClock

JOB_KEYS = [
    "id",
    "tube",
    "state",
    "pri",
    "age",
    "delay",
    "ttr",
    "time-left",
    "file",
    "reserves",
    "timeouts",
    "releases",
    "buries",
    "kicks",
]
OURS: dict[type, list[str]] = {
    JobStats: ["holder"],
    TubeStats: ["maxsize", "current_putting", "expired", "max_tries"],
}
TUBE_KEYS = [
    "name",
    "current-jobs-urgent",
    "current-jobs-ready",
    "current-jobs-reserved",
    "current-jobs-delayed",
    "current-jobs-buried",
    "total-jobs",
    "current-using",
    "current-watching",
    "current-waiting",
    "cmd-delete",
    "cmd-pause-tube",
    "pause",
    "pause-time-left",
]
BROKER_KEYS = [
    "current-jobs-urgent",
    "current-jobs-ready",
    "current-jobs-reserved",
    "current-jobs-delayed",
    "current-jobs-buried",
    "cmd-put",
    "cmd-peek",
    "cmd-peek-ready",
    "cmd-peek-delayed",
    "cmd-peek-buried",
    "cmd-reserve",
    "cmd-reserve-with-timeout",
    "cmd-delete",
    "cmd-release",
    "cmd-use",
    "cmd-watch",
    "cmd-ignore",
    "cmd-bury",
    "cmd-kick",
    "cmd-touch",
    "cmd-stats",
    "cmd-stats-job",
    "cmd-stats-tube",
    "cmd-list-tubes",
    "cmd-list-tube-used",
    "cmd-list-tubes-watched",
    "cmd-pause-tube",
    "job-timeouts",
    "total-jobs",
    "max-job-size",
    "current-tubes",
    "current-connections",
    "current-producers",
    "current-workers",
    "current-waiting",
    "total-connections",
    "pid",
    "version",
    "rusage-utime",
    "rusage-stime",
    "uptime",
    "binlog-oldest-index",
    "binlog-current-index",
    "binlog-records-migrated",
    "binlog-records-written",
    "binlog-max-size",
    "draining",
    "id",
    "hostname",
    "os",
    "platform",
]


def test_the_dicts_have_beanstalkds_keys_in_its_order(broker: Broker, job: Job) -> None:
    assert (14, 14, 51) == (len(JOB_KEYS), len(TUBE_KEYS), len(BROKER_KEYS))
    assert JOB_KEYS == list(job.stats().as_dict())
    assert TUBE_KEYS == list(broker.stats_tube("default").as_dict())
    assert BROKER_KEYS == list(broker.stats().as_dict())


def test_the_fields_are_the_keys_in_snake_case(broker: Broker, job: Job) -> None:
    for stats in (job.stats(), broker.stats_tube("default"), broker.stats()):
        names = [key.replace("-", "_") for key in stats.as_dict()]
        ours = OURS.get(type(stats), [])
        fields = [n if n != "pri" else "priority" for n in names] + ours
        assert fields == list(asdict(stats))


def test_statistics_are_frozen_and_equal_by_their_values(
    broker: Broker, job: Job
) -> None:
    stats = job.stats()
    assert stats == job.stats()
    assert hash(stats) == hash(job.stats())
    with pytest.raises(FrozenInstanceError):
        stats.priority = 1  # type: ignore[misc]  # on purpose
    assert [JobStats, TubeStats, BrokerStats] == [
        type(stats),
        type(broker.stats_tube("default")),
        type(broker.stats()),
    ]


def test_every_field_of_a_job(
    clock: FakeClock, broker: Broker, producer: Producer, consumer: Consumer
) -> None:
    job_id = producer.put("x", 7, 2.5, 10.5, tube="jobs")
    clock.advance(3)  # matured
    consumer.reserve_job(job_id)
    clock.advance(10.5)  # expired
    consumer.reserve_job(job_id).release()
    consumer.reserve_job(job_id).release(priority=9, delay=4.5)
    consumer.reserve_job(job_id).bury()
    broker.kick_job(job_id)
    consumer.reserve_job(job_id)
    clock.advance(0.25)
    expected = {
        "id": job_id,
        "tube": "jobs",
        "state": "reserved",
        "priority": 9,
        "age": 13.75,
        "delay": 4.5,
        "ttr": 10.5,
        "time_left": 10.25,
        "file": 0,
        "reserves": 5,
        "timeouts": 1,
        "releases": 2,
        "buries": 1,
        "kicks": 1,
        "holder": consumer.name,
    }
    assert expected == asdict(broker.stats_job(job_id))


def test_every_field_of_a_tube(
    clock: FakeClock, broker: Broker, consumer: Consumer
) -> None:
    producer = broker.producer("jobs")
    broker.producer("jobs").close()
    holder = broker.consumer("jobs")
    for priority in (0, 1023, 1024, 5, 5, 5):
        producer.put("x", priority)
    producer.put("late", delay=50)
    holder.reserve()
    for _ in range(2):
        holder.reserve().bury()
    holder.reserve().delete()
    with pytest.raises(NotFoundError):
        consumer.delete(1)  # a miss, which no tube counts
    broker.pause_tube("jobs", 7.5)
    clock.advance(2)
    expected = {
        "name": "jobs",
        "current_jobs_urgent": 1,
        "current_jobs_ready": 2,
        "current_jobs_reserved": 1,
        "current_jobs_delayed": 1,
        "current_jobs_buried": 2,
        "total_jobs": 7,
        "current_using": 1,
        "current_watching": 1,
        "current_waiting": 0,
        "cmd_delete": 1,
        "cmd_pause_tube": 1,
        "pause": 7.5,
        "pause_time_left": 5.5,
        "maxsize": 0,
        "current_putting": 0,
        "expired": 0,
        "max_tries": 0,
    }
    assert expected == asdict(broker.stats_tube("jobs"))


def test_every_field_of_the_broker(  # noqa: C901, PLR0912, PLR0915  # one per field
    clock: FakeClock,
) -> None:
    broker = Broker(clock=clock, max_job_size=99)
    producer = broker.producer("jobs")
    consumer = broker.consumer("jobs")
    broker.consumer().close()
    clock.advance(2.5)
    for _ in range(6):
        producer.put("x", 5)
    producer.put("x", 1024)
    producer.put("x", delay=50)
    with pytest.raises(JobTooBigError):
        producer.put("x" * 100)
    broker.peek(1)
    for _ in range(2):
        broker.peek_ready("jobs")
    for _ in range(3):
        broker.peek_delayed("jobs")
    for _ in range(4):
        with pytest.raises(NotFoundError):
            broker.peek_buried("jobs")
    first, second = consumer.reserve(), consumer.reserve(0)
    consumer.reserve(5)
    for _ in range(3):
        first.touch()
    second.bury()
    consumer.release(3)
    for job_id in (4, 4, 4):
        with pytest.raises(NotFoundError):
            consumer.release(job_id)
    for _ in range(2):
        with pytest.raises(NotFoundError):
            consumer.bury(4)
    broker.delete(4)
    for _ in range(5):
        with pytest.raises(NotFoundError):
            broker.delete(4)
    for _ in range(6):
        assert 0 == broker.kick("jobs", 0)
    broker.kick_job(2)  # counted nowhere
    consumer.reserve_job(2).bury()  # nor this, but the bury
    for _ in range(7):
        producer.use("jobs")
    consumer.watch("a", "b")
    consumer.ignore("a")
    for _ in range(2):
        consumer.ignore("nowhere")
    for _ in range(8):
        broker.stats_job(1)
    for _ in range(9):
        broker.stats_tube("jobs")
    for _ in range(2):
        broker.tubes()
        producer.using()
        consumer.watching()
    producer.using()
    consumer.watching()
    consumer.watching()
    broker.pause_tube("jobs", 1)
    with pytest.raises(NotFoundError):
        broker.pause_tube("nowhere", 1)
    broker.stats()
    clock.advance(60.25)  # the first reservation runs out, and the delay
    times = os.times()
    machine = os.uname()
    stats = broker.stats()
    expected = {
        "current_jobs_urgent": 4,
        "current_jobs_ready": 6,
        "current_jobs_reserved": 0,
        "current_jobs_delayed": 0,
        "current_jobs_buried": 1,
        "cmd_put": 9,
        "cmd_peek": 1,
        "cmd_peek_ready": 2,
        "cmd_peek_delayed": 3,
        "cmd_peek_buried": 4,
        "cmd_reserve": 1,
        "cmd_reserve_with_timeout": 2,
        "cmd_delete": 6,
        "cmd_release": 4,
        "cmd_use": 7,
        "cmd_watch": 2,
        "cmd_ignore": 3,
        "cmd_bury": 4,
        "cmd_kick": 6,
        "cmd_touch": 3,
        "cmd_stats": 2,
        "cmd_stats_job": 8,
        "cmd_stats_tube": 9,
        "cmd_list_tubes": 2,
        "cmd_list_tube_used": 3,
        "cmd_list_tubes_watched": 4,
        "cmd_pause_tube": 2,
        "job_timeouts": 1,
        "total_jobs": 8,
        "max_job_size": 99,
        "current_tubes": 3,
        "current_connections": 2,
        "current_producers": 1,
        "current_workers": 1,
        "current_waiting": 0,
        "total_connections": 3,
        "pid": os.getpid(),
        "version": inproc_tubes.__version__,
        "rusage_utime": pytest.approx(times.user, abs=60),
        "rusage_stime": pytest.approx(times.system, abs=60),
        "uptime": 62.75,
        "binlog_oldest_index": 0,
        "binlog_current_index": 0,
        "binlog_records_migrated": 0,
        "binlog_records_written": 0,
        "binlog_max_size": 10485760,
        "draining": False,
        "id": stats.id,
        "hostname": machine.nodename,
        "os": machine.version,
        "platform": machine.machine,
    }
    assert expected == asdict(stats)
    assert re.fullmatch("[0-9a-f]{16}", stats.id)
    assert stats.id != Broker().stats().id


def test_the_dicts_have_whole_seconds_where_beanstalkd_truncates(
    clock: FakeClock, broker: Broker, job: Job
) -> None:
    broker.pause_tube("default", 100)
    clock.advance(1.75)
    stats = job.stats()
    assert (1.75, 8.25) == (stats.age, stats.time_left)
    shown = stats.as_dict()
    assert ("1", "8") == (str(shown["age"]), str(shown["time-left"]))
    tube = broker.stats_tube("default").as_dict()
    assert ("100", "98") == (str(tube["pause"]), str(tube["pause-time-left"]))
    assert "1" == str(broker.stats().as_dict()["uptime"])


@pytest.mark.parametrize("where", ["reserved", "delayed"])
def test_a_fresh_reservation_or_delay_has_all_its_time_left(
    producer: Producer, consumer: Consumer, where: str
) -> None:
    producer.put("x", ttr=60)
    job = consumer.reserve()
    if where == "delayed":
        job.release(delay=60)
    assert (where, 60) == (job.stats().state, job.stats().time_left)


@pytest.mark.parametrize("where", ["ready", "buried"])
def test_a_job_that_no_time_runs_for_has_none_left(job: Job, where: str) -> None:
    if where == "buried":
        job.bury()
    else:
        job.release()
    assert (where, 0) == (job.stats().state, job.stats().time_left)


def test_statistics_of_what_is_not_there(broker: Broker) -> None:
    with pytest.raises(NotFoundError) as job:
        broker.stats_job(1)
    with pytest.raises(NotFoundError) as tube:
        broker.stats_tube("nowhere")
    assert (1, None) == (job.value.job_id, job.value.tube)
    assert (None, "nowhere") == (tube.value.job_id, tube.value.tube)
    assert ["default"] == broker.tubes()


def test_a_handle_is_a_producer_once_it_has_put_and_a_worker_once_it_has_reserved(
    broker: Broker, producer: Producer, consumer: Consumer
) -> None:
    def counts() -> tuple[int, int, int]:
        stats = broker.stats()
        return (
            stats.current_connections,
            stats.current_producers,
            stats.current_workers,
        )

    assert (2, 0, 0) == counts()
    producer.put("x")
    assert (2, 1, 0) == counts()
    assert ["x"] == bodies(consumer)
    assert (2, 1, 1) == counts()
    consumer.close()
    producer.close()
    assert (0, 0, 0) == counts()
    assert 2 == broker.stats().total_connections
