"""A live table of a broker in a terminal. Needs the extra ``monitor``.

It is not called ``monitor``, as its extra is: that is the broker's lock.
"""

from __future__ import annotations

import threading
from math import isfinite
from typing import TYPE_CHECKING, Any

from .broker import Broker
from .core.event import EventKind
from .core.text import counted
from .errors import ClosedError
from .extras import from_extra
from .rates import Rates

with from_extra("monitor"):
    from rich.console import Console, Group
    from rich.live import Live
    from rich.table import Table
    from rich.text import Text

if TYPE_CHECKING:
    from collections.abc import Mapping

    from rich.console import RenderableType

    from .core.statistics import BrokerSnapshot
    from .rates import Rate

__all__ = ["watch"]

_HELD = 20  # jobs in hand that are shown, the longest held first


def watch(
    broker: Broker[Any], *, interval: float = 1.0, console: Console | None = None
) -> None:
    """Show a live table of the tubes, and who holds what, until the broker is closed.

    Ctrl-C ends it, too. It blocks: call it in a thread of its own if the program has
    something else to do. The table stays in its place while other threads print.

    Args:
        broker: The broker.
        interval: Seconds between two looks.
        console: A console of rich; None for the standard output.

    Raises:
        TypeError: An argument is of the wrong type.
        ValueError: ``interval`` is no finite number above 0.
        ClosedError: The broker was closed already.

    Cost: that of `Broker.snapshot` for each look.
    """
    _check(broker, interval)
    closed = threading.Event()
    rates = Rates()

    def close(_event: object) -> None:
        closed.set()

    def picture() -> RenderableType:
        seen = broker.snapshot()
        return _picture(seen, rates.look(seen))

    with (
        broker.subscribe(close, [EventKind.CLOSED]),
        Live(picture(), console=console, auto_refresh=False) as live,
    ):
        try:
            while not closed.wait(interval):
                live.update(picture(), refresh=True)
        except KeyboardInterrupt:
            return
        except ClosedError:  # before its event was told
            pass
        live.console.print("The broker was closed.")


def _check(broker: object, interval: object) -> None:
    if not isinstance(broker, Broker):
        message = f"broker is a Broker, not {type(broker).__name__}"
        raise TypeError(message)
    if not isinstance(interval, (int, float)) or isinstance(interval, bool):
        message = f"interval is a number of seconds, not {type(interval).__name__}"
        raise TypeError(message)
    if not isfinite(interval) or interval <= 0:
        message = f"interval is a finite number above 0, not {interval!r}"
        raise ValueError(message)


def _picture(seen: BrokerSnapshot, rates: Mapping[str, Rate]) -> RenderableType:
    held = [(handle, job) for handle in seen.handles for job in handle.holds]
    parts: list[RenderableType] = [_tubes(seen, rates)]
    if held:
        held.sort(key=lambda pair: pair[1].reserved_at)
        jobs = Table("job", "tube", "holder", "for", "time left")
        for handle, job in held[:_HELD]:
            jobs.add_row(
                str(job.id),
                _text(job.tube),
                _text(handle.name),
                f"{seen.now - job.reserved_at:,.1f} s",
                f"{job.time_left:,.1f} s",
            )
        parts.append(jobs)
    if len(held) > _HELD:
        parts.append(Text(f"and {counted(len(held) - _HELD, 'job')} more in hand"))
    return Group(*parts)


def _tubes(seen: BrokerSnapshot, rates: Mapping[str, Rate]) -> Table:
    table = Table("tube")
    for head in ("ready", "reserved", "delayed", "buried", "put/s", "deleted/s"):
        table.add_column(head, justify="right")
    for name, stats in seen.tubes.items():
        rate = rates.get(name)
        table.add_row(
            _text(f"{name} (paused)" if stats.pause else name),
            f"{stats.current_jobs_ready:,}",
            f"{stats.current_jobs_reserved:,}",
            f"{stats.current_jobs_delayed:,}",
            Text(
                f"{stats.current_jobs_buried:,}",
                style="bold red" if stats.current_jobs_buried else "",
            ),
            "-" if rate is None else f"{rate.put:,.1f}",
            "-" if rate is None else f"{rate.deleted:,.1f}",
        )
    return table


def _text(name: str) -> Text:
    """Return a name as it is: rich reads no markup in it, the terminal no commands."""
    return Text("".join(one if one.isprintable() else "?" for one in name))
