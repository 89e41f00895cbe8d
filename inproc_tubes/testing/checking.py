"""The check that all tools of a test begin with."""

from __future__ import annotations

from inproc_tubes.broker import Broker

__all__ = ["check_broker"]


def check_broker(value: object) -> None:
    """Raise unless this is a broker in memory: no other can be looked into."""
    if not isinstance(value, Broker):
        message = f"broker is a Broker, not {type(value).__name__}"
        raise TypeError(message)
