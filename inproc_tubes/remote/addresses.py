"""Where beanstalkds are, read from a URL."""

from __future__ import annotations

from typing import TypeAlias
from urllib.parse import urlsplit

__all__ = ["Address", "addresses_in"]

Address: TypeAlias = tuple[str, int]

_SCHEME = "beanstalk"
_DEFAULT_PORT = 11300


def addresses_in(url: object) -> list[Address]:
    """Return the addresses in ``beanstalk://host:port,host:port``, at least one.

    Raises:
        TypeError: It is no str.
        ValueError: It is no such URL, or names a server twice.
    """
    if not isinstance(url, str):
        message = f"a URL is a str, not {type(url).__name__}"
        raise TypeError(message)
    scheme, separator, rest = url.partition("://")
    places = rest.removesuffix("/")
    if scheme != _SCHEME or not separator or not places:
        raise _bad(url)
    found = [_address_in(place, url) for place in places.split(",")]
    if len(set(found)) < len(found):
        message = f"{url!r} names a server twice"
        raise ValueError(message)
    return found


def _address_in(place: str, url: str) -> Address:
    try:
        parts = urlsplit(f"//{place}")
        port = _DEFAULT_PORT if parts.port is None else parts.port
        host = parts.hostname or ""
        host.encode("idna")  # as it will be to look it up
    except ValueError:
        raise _bad(url) from None
    if not host or parts.netloc != place or "@" in place or not port:
        raise _bad(url)
    if " " in host or not host.isprintable():
        raise _bad(url)
    return host, port


def _bad(url: str) -> ValueError:
    message = f"a URL is like beanstalk://host:11300, or has several hosts, not {url!r}"
    return ValueError(message)
