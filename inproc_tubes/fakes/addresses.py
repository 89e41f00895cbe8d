"""Addresses: which of them are the same place, and which are none at all.

A *key* is what a place is found under. Its host is a number in its shortest form or a
name in lower case. Only what the operating system would take is read as an address, so
that all else can be left to it: it has the right error.
"""

from __future__ import annotations

import os
import socket
from contextlib import suppress
from ipaddress import IPv6Address, ip_address
from operator import index
from typing import Any

__all__ = [
    "LOOPBACK",
    "Key",
    "is_number",
    "key_of",
    "key_of_connect",
    "key_of_lookup",
    "loopback_number",
    "name_of",
]

# A host and a port; or a path.
Key = tuple[str, int] | str

LOOPBACK: dict[int, str] = {socket.AF_INET: "127.0.0.1", socket.AF_INET6: "::1"}
"""Where "localhost" is, and a server that listens everywhere."""

# How many items an address may have.
_SIZES: dict[int, set[int]] = {socket.AF_INET: {2}, socket.AF_INET6: {2, 3, 4}}

_UNIX = getattr(socket, "AF_UNIX", None)  # Windows has none in Python
_ANY = {"0.0.0.0": "127.0.0.1", "::": "::1"}  # noqa: S104 # nothing is bound
_MAX_PORT = 0xFFFF
_MAX_FLOW = 0xFFFFF
_MAX_SCOPE = 0xFFFFFFFF


def key_of(address: Any) -> Key | None:
    """Return the key of an address that somebody has written down; None if it is none.

    A port may be a str there, or greater than there are. A path is read from the folder
    that is the current one.
    """
    if isinstance(address, (str, bytes, os.PathLike)):
        return _path(os.fsdecode(address))
    try:
        host, port, *_ = address
    except (TypeError, ValueError):
        return None
    return _pair(host or "localhost", _port(port), 0)


def key_of_lookup(host: Any, port: Any, family: int = 0) -> tuple[str, int] | None:
    """Return the key of what somebody looks up, as `socket.getaddrinfo` takes it."""
    return _pair(host, _port(port), family) if host else None


def key_of_connect(family: int, address: Any) -> Key | None:
    """Return the key of what a socket connects to, as `socket.socket.connect` takes it."""
    if family == _UNIX:
        if isinstance(address, str):
            return _path(address)
        with suppress(TypeError):
            return _path(os.fsdecode(bytes(memoryview(address))))
        return None
    if not isinstance(address, tuple) or len(address) not in _SIZES.get(family, ()):
        return None
    host, port, *rest = address
    limits = (_MAX_PORT, _MAX_FLOW, _MAX_SCOPE)
    for number, limit in zip((port, *rest), limits, strict=False):
        if not 0 <= _integer(number, -1) <= limit:
            return None
    return _pair(host, _integer(port, -1), family)


def is_number(host: str) -> bool:
    """Tell whether a host is a number, and needs no name server."""
    return _number(host, 0) is not None


def loopback_number(host: str) -> str | None:
    """Return the number of a host that only this machine reaches; None for others."""
    if host == "localhost":
        return LOOPBACK[socket.AF_INET]
    try:
        address = ip_address(host)
    except ValueError:
        return None
    return str(address) if address.is_loopback else None


def _path(path: str) -> str:
    # A name without a file, as Linux has them, is no path.
    return path if "\0" in path else os.path.realpath(path)


def _port(port: Any) -> int:
    if isinstance(port, (str, bytes)):
        is_number = port.isascii() and port.isdigit()
        return int(port) if is_number else -1  # the name of a service
    return _integer(port, -1)


def _integer(given: Any, default: int) -> int:
    try:
        return index(given)
    except TypeError:
        return default


def _pair(host: Any, port: int, family: int) -> tuple[str, int] | None:
    name = name_of(host)
    if port < 0 or name is None:
        return None
    if name in {"", "localhost"}:
        name = LOOPBACK.get(family, "127.0.0.1")
    if (shortest := _number(name, family)) is not None:
        return shortest, port
    return None if is_number(name) else (name, port)


def name_of(host: Any) -> str | None:
    """Return a host's name as it is looked up; None if it is none."""
    if isinstance(host, (bytes, bytearray)):
        host = host.decode("ascii", "replace")
    if not isinstance(host, str) or "\0" in host:
        return None
    try:
        return (host if host.isascii() else host.encode("idna").decode()).lower()
    except UnicodeError:
        return None


def _number(host: str, family: int) -> str | None:
    """Return the shortest form of a host that is a number in this family (0: any)."""
    number = None
    # The system's own function takes "127.1" and "0x7f.1", and what is behind a space.
    if family != socket.AF_INET6 and not any(map(str.isspace, host)):
        with suppress(OSError):
            number = socket.inet_ntoa(socket.inet_aton(host))
    if family != socket.AF_INET and number is None:
        with suppress(ValueError):
            address = ip_address(host)
            if isinstance(address, IPv6Address):
                number = str(address.ipv4_mapped or address)
    return None if number is None else _ANY.get(number, number)
