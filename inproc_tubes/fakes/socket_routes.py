"""How blocking clients reach a server in memory: sockets that connect, and names.

What is patched is the innermost function of each way, so that it does not matter how
early a module has imported what: ``connect`` and ``connect_ex`` of the classes of
sockets, and ``_socket.getaddrinfo``, under all that resolves names. A host name of ours
resolves, to a number that only we know.

A socket that does not block is one that a selector is to wait for, and a selector can
wait for nothing in memory. So it is refused at once.
"""

from __future__ import annotations

import _socket
import errno
import socket
from typing import TYPE_CHECKING, Any

from . import registry
from .patches import patch
from .refusals import refuse_to_connect
from .sockets import plug_in, socket_classes

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from .patches import Patch

__all__ = ["patches"]


def patches() -> Iterator[Patch]:
    """Return what is to be patched."""
    for cls in socket_classes():
        yield patch(cls, "connect", _connect_over)
        yield patch(cls, "connect_ex", _connect_ex_over)
    yield patch(_socket, "getaddrinfo", _getaddrinfo_over)


def _connect_over(before: Callable[..., None]) -> Callable[..., None]:
    def connect(self: socket.socket, address: Any, /) -> None:
        served, address = _serve(self, address)
        if not served:
            before(self, address)

    return connect


def _connect_ex_over(before: Callable[..., int]) -> Callable[..., int]:
    def connect_ex(self: socket.socket, address: Any, /) -> int:
        try:
            served, address = _serve(self, address)
        except OSError as error:
            if error.errno == errno.EOPNOTSUPP:
                raise  # a number would not say what to do
            return error.errno or 0
        return 0 if served else before(self, address)

    return connect_ex


def _serve(sock: socket.socket, address: Any) -> tuple[bool, Any]:
    """Connect a socket, if the address is ours.

    Returns:
        Whether it is connected, and what to connect to if it is not.
    """
    if registry.is_empty() or sock.type != socket.SOCK_STREAM:
        return False, address
    place, address = registry.find_for_socket(sock, address)
    if place is None:
        return False, address
    server = place.admit()
    if sock.gettimeout() == 0:
        refuse_to_connect("a socket that does not block (trio, Twisted, Tornado)")
    plug_in(sock, server)
    return True, address


def _getaddrinfo_over(before: Callable[..., Any]) -> Callable[..., Any]:
    def getaddrinfo(host: Any, port: Any, *args: Any, **kwargs: Any) -> Any:
        family = args[0] if args else kwargs.get("family", 0)
        number = registry.number_for(host, port, family)
        return before(host if number is None else number, port, *args, **kwargs)

    return getaddrinfo
