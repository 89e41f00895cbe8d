"""The same handles on a real beanstalkd. Needs the extra: ``inproc_tubes[remote]``.

    from inproc_tubes.remote import connect

    with connect("beanstalk://localhost:11300") as broker:
        broker.producer("orders").put({"sku": 7})
        with broker.consumer("orders").reserve(timeout=5) as job:
            print(job.body)

greenstalk and aiostalk do the talking, and the beanstalkd keeps the jobs. An application
is written once for this and for a `Broker` in memory: see `inproc_tubes.make_broker`.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from inproc_tubes.extras import from_extra

from .codecs import BytesCodec, Codec, JsonCodec, StrCodec, UnsafePickleCodec

with from_extra("remote"):
    from .broker import RemoteBroker, connect
    from .consumer import RemoteConsumer
    from .job import RemoteJob
    from .producer import RemoteProducer

if TYPE_CHECKING:
    from .aio import RemoteAsyncConsumer, RemoteAsyncProducer

__all__ = [
    "BytesCodec",
    "Codec",
    "JsonCodec",
    "RemoteAsyncConsumer",
    "RemoteAsyncProducer",
    "RemoteBroker",
    "RemoteConsumer",
    "RemoteJob",
    "RemoteProducer",
    "StrCodec",
    "UnsafePickleCodec",
    "connect",
]


def __getattr__(name: str) -> object:
    if name in {"RemoteAsyncConsumer", "RemoteAsyncProducer"}:
        # asyncio is slow to import, for one who uses plain threads.
        with from_extra("remote"):
            from . import aio  # noqa: PLC0415 - as above

        return getattr(aio, name)
    message = f"module {__name__!r} has no attribute {name!r}"
    raise AttributeError(message)
