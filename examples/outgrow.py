"""One worker, on a queue in memory or on a beanstalkd: the environment says which.

``outgrow.py`` does all of it in this process. With a beanstalkd, its two halves may be
two processes, on two machines, and the jobs are safe if either of them ends:

    export BROKER_URL=beanstalk://localhost:11300
    outgrow.py shop
    outgrow.py packer

Prints:
    the shop has put 3 orders
    packed scarf
    piano is heavy: again, try 2
    packed piano
    packed vase
"""

from __future__ import annotations

import logging
import os
import sys
from typing import TypedDict

from inproc_tubes import AnyBroker, Job, make_broker
from inproc_tubes.worker import Backoff, Retry, Worker


class Order(TypedDict):
    """What is packed: JSON can say it, and so can any other process."""

    item: str
    heavy: bool


def shop(broker: AnyBroker[Order]) -> None:
    """Put some orders."""
    with broker.producer("orders") as producer:
        ids = [
            producer.put({"item": "scarf", "heavy": False}, priority=1),
            producer.put({"item": "piano", "heavy": True}, priority=2),
            producer.put({"item": "vase", "heavy": False}, priority=3),
        ]
    print(f"the shop has put {len(ids)} orders", flush=True)


def pack(job: Job[Order]) -> None:
    """Pack an order; a heavy one at the second try."""
    if job.body["heavy"] and job.reserves < 2:  # noqa: PLR2004 - the second
        print(f"{job.body['item']} is heavy: again, try {job.reserves + 1}", flush=True)
        raise Retry(delay=0)
    print(f"packed {job.body['item']}", flush=True)


def main(roles: list[str]) -> None:
    """Be the shop, the packer, or both until all is packed."""
    url = os.environ.get("BROKER_URL", "memory://")
    with make_broker(url) as broker:
        if "shop" in roles or not roles:
            shop(broker)
        worker = Worker(broker, {"orders": pack}, retry=Backoff(first=1))
        if "packer" in roles:
            worker.run()  # until SIGTERM or Ctrl-C
        elif not roles:
            with worker:
                broker.join("orders")


logging.basicConfig(level="ERROR")  # each retry is a warning
main(sys.argv[1:])
