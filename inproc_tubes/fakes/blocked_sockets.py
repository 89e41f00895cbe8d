"""Sockets in a test-suite that allows none (pytest-socket's ``--disable-socket``).

pytest-socket puts a class in the place of `socket.socket` that cannot be made, and a
``socket.getaddrinfo`` that always fails. But a client does not say where it connects to
when it makes its socket. So while a server is active there is another class instead: its
sockets can be made, and ask pytest-socket's as soon as they are used for anything but to
connect to a server of ours.
"""

from __future__ import annotations

import socket
import sys
from typing import TYPE_CHECKING, Any

from . import registry
from .addresses import key_of_lookup
from .sockets import InMemorySocket, socket_classes

if TYPE_CHECKING:
    from collections.abc import Callable

    SocketClass = type[socket.socket]
    Lookup = Callable[..., Any]
    _Base = socket.socket
else:
    _Base = socket_classes()[0]  # whatever `socket.socket` is just now

__all__ = ["allow_ours", "undo"]

_TOOL = "pytest_socket"

# {"theirs" and "ours": the class that is or was `socket.socket`}, while it is replaced.
_classes: dict[str, SocketClass] = {}
# The same of `socket.getaddrinfo`; "original" is the standard library's.
_lookups: dict[str, Lookup] = {}


def allow_ours() -> None:
    """Let clients of ours have sockets, if they are blocked."""
    if socket.socket is _classes.get("ours"):
        return
    undo()
    if getattr(socket.socket, "__module__", None) == _TOOL:
        _classes["theirs"] = socket.socket
        _classes["ours"] = _class_over(socket.socket)
        _put("socket", _classes["ours"])
    if getattr(socket.getaddrinfo, "__module__", None) == _TOOL:
        original = sys.modules[_TOOL]._true_getaddrinfo
        _lookups["original"] = original
        _lookups["theirs"] = socket.getaddrinfo
        _lookups["ours"] = _lookup_over(socket.getaddrinfo, original)
        _put("getaddrinfo", _lookups["ours"])


def undo() -> None:
    """Put back what was replaced, as far as pytest-socket has not ended it meanwhile.

    It ends it for every socket; but a ``getaddrinfo`` that is not its own, it leaves.
    """
    is_blocked = _classes and socket.socket is _classes["ours"]
    if is_blocked:
        _put("socket", _classes["theirs"])
    if _lookups and socket.getaddrinfo is _lookups["ours"]:
        _put("getaddrinfo", _lookups["theirs" if is_blocked else "original"])
    _classes.clear()
    _lookups.clear()


def _put(name: str, value: Any) -> None:
    setattr(socket, name, value)


class _Blocked(_Base):
    """A socket that may be connected to a server of ours, and used for no more."""

    __slots__ = ()

    theirs: Any
    """pytest-socket's class, which refuses to be made."""

    def __new__(
        cls,
        family: int = -1,
        type: int = -1,  # noqa: A002 # as `socket.socket` calls it
        proto: int = -1,
        fileno: int | None = None,
    ) -> Any:
        if fileno is not None:  # it is connected already, or never will be
            return cls.theirs(family, type, proto, fileno)
        return super().__new__(cls)

    def connect(self, address: Any, /) -> None:
        """Connect, if that is allowed."""
        self._ask(address)
        super().connect(address)

    def connect_ex(self, address: Any, /) -> int:
        """Connect, if that is allowed."""
        self._ask(address)
        return super().connect_ex(address)

    def bind(self, address: Any, /) -> None:
        """Bind, if that is allowed."""
        self._ask()
        super().bind(address)

    def sendto(self, *args: Any) -> int:
        """Send, if that is allowed."""
        self._ask()
        return super().sendto(*args)

    def sendmsg(self, *args: Any) -> int:
        """Send, if that is allowed."""
        self._ask()
        return super().sendmsg(*args)

    def _ask(self, address: Any = None) -> None:
        """Have pytest-socket refuse it, unless it is ours."""
        if isinstance(self, InMemorySocket):
            return
        if address is not None and registry.find_for_socket(self, address)[0]:
            return
        try:
            self.theirs(self.family, self.type, self.proto).close()
        except BaseException:
            self.close()
            raise


def _class_over(theirs: SocketClass) -> SocketClass:
    return type("socket", (_Blocked,), {"__slots__": (), "theirs": theirs})


def _lookup_over(theirs: Lookup, original: Lookup) -> Lookup:
    def getaddrinfo(
        host: Any, port: Any, family: int = 0, *args: Any, **kw: Any
    ) -> Any:
        if registry.find(key_of_lookup(host, port, family)) is None:
            theirs(host, port, family, *args, **kw)
        return original(host, port, family, *args, **kw)

    return getaddrinfo
