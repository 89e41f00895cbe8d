"""A guard: addresses at which nothing is reached but a fake, for a whole test-suite."""

from __future__ import annotations

import errno
from typing import TYPE_CHECKING, NoReturn

from . import routing
from .addresses import key_of

if TYPE_CHECKING:
    from collections.abc import Iterable
    from typing import Any

    from .addresses import Key

__all__ = ["Guard"]


class Guard:
    """Refuses every connection to its addresses, until it is lifted.

    A `FakeBeanstalkd` that is active at one of them is reached all the same.

    Args:
        addresses: Pairs of host and port, or paths of Unix sockets.
        advice: What the error says besides the address.

    Raises:
        TypeError: One of them is no address. None is guarded then.
    """

    def __init__(self, addresses: Iterable[Any], advice: str) -> None:
        keys = []
        for address in addresses:
            key = key_of(address)
            if key is None:
                message = f"an address is (host, port) or a path, not {address!r}"
                raise TypeError(message)
            keys.append(key)
        self._places = [_Guarded(key, advice) for key in keys]
        for place in self._places:
            routing.guard(place, place.key)

    def lift(self) -> None:
        """Let them be reached again."""
        for place in self._places:
            routing.unguard(place)


class _Guarded:
    """One address under guard."""

    inherited = False

    def __init__(self, key: Key, advice: str) -> None:
        self.key = key
        where = key if isinstance(key, str) else f"{key[0]}:{key[1]}"
        self._message = f"{where} is guarded: {advice}"

    def admit(self) -> NoReturn:
        """Refuse, as a machine does where no server runs."""
        raise OSError(errno.ECONNREFUSED, self._message)
