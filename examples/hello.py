"""The smallest program: put a job, reserve it, do the work, delete it.

Prints:
    put job 1
    reserved job 1: send 7 red socks
    while somebody holds it, nobody else gets it
    deleted: now it is gone
"""

from __future__ import annotations

from inproc_tubes import Broker, TimedOutError

with Broker() as broker:
    producer = broker.producer("orders")
    consumer = broker.consumer("orders")
    colleague = broker.consumer("orders")

    job_id = producer.put({"item": "red socks", "count": 7})
    print(f"put job {job_id}")

    job = consumer.reserve()
    print(f"reserved job {job.id}: send {job.body['count']} {job.body['item']}")

    try:
        colleague.reserve(timeout=0)
    except TimedOutError:
        print("while somebody holds it, nobody else gets it")

    job.delete()
    print("deleted: now it is gone")
