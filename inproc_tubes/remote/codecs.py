"""How bodies become bytes, and bytes become bodies again."""

from __future__ import annotations

import json
import warnings
from typing import TYPE_CHECKING, Any, Protocol, TypeAlias

from inproc_tubes.failures import failure_of

if TYPE_CHECKING:
    from collections.abc import Callable

__all__ = [
    "BytesCodec",
    "Codec",
    "DamagedBody",
    "JsonCodec",
    "StrCodec",
    "UnsafePickleCodec",
    "codec_of",
    "decode",
    "encode",
]


class Codec(Protocol):
    """Turns a body into bytes, and bytes into a body. It may be shared by threads."""

    def encode(self, body: Any, /) -> bytes:
        """Return a body as bytes; raise any `Exception` if it cannot be.

        Args:
            body: A body.
        """

    def decode(self, data: bytes, /) -> Any:
        """Return the body that these bytes are; raise any `Exception` if they are none.

        Args:
            data: The bytes of one.
        """


AnyCodec: TypeAlias = "Codec | str"


class JsonCodec:
    """JSON in UTF-8. A tuple comes back as a list, and a key of a dict as a str."""

    def encode(self, body: Any, /) -> bytes:
        """Return the JSON of a body. NaN and infinity have none.

        Args:
            body: A body.
        """
        text = json.dumps(
            body, ensure_ascii=False, separators=(",", ":"), allow_nan=False
        )
        return text.encode()

    def decode(self, data: bytes, /) -> Any:
        """Return what this JSON says.

        Args:
            data: The bytes of one.
        """
        return json.loads(data)


class BytesCodec:
    """Bytes as they are: for bodies that are bytes, bytearrays or memoryviews."""

    def encode(self, body: Any, /) -> bytes:
        """Return the bytes of a body.

        Args:
            body: A body.
        """
        if not isinstance(body, (bytes, bytearray, memoryview)):
            message = "it is not bytes"
            raise TypeError(message)
        return bytes(body)

    def decode(self, data: bytes, /) -> Any:
        """Return these bytes.

        Args:
            data: The bytes of one.
        """
        return data


class StrCodec:
    """Text in UTF-8: for bodies that are str."""

    def encode(self, body: Any, /) -> bytes:
        """Return the UTF-8 of a body.

        Args:
            body: A body.
        """
        if not isinstance(body, str):
            message = "it is not a str"
            raise TypeError(message)
        return body.encode()

    def decode(self, data: bytes, /) -> Any:
        """Return the text that this UTF-8 is.

        Args:
            data: The bytes of one.
        """
        return data.decode()


class UnsafePickleCodec:
    """Pickles: nearly any object, but a security risk.

    To load a pickle is to run what is in it. Whoever can reach the beanstalkd, which asks
    for no password, can run any code in the consumers. Use it only where everybody who
    can reach the server may do that anyway. ``codec="pickle"`` is this with a warning.
    """

    def encode(self, body: Any, /) -> bytes:
        """Return the pickle of a body.

        Args:
            body: A body.
        """
        import pickle  # noqa: PLC0415 - seldom used; the class says what it is

        return pickle.dumps(body)

    def decode(self, data: bytes, /) -> Any:
        """Load a pickle.

        Args:
            data: The bytes of one.
        """
        import pickle  # noqa: PLC0415 - as above

        return pickle.loads(data)  # noqa: S301 - as above


_CODECS: dict[str, Callable[[], Codec]] = {
    "bytes": BytesCodec,
    "json": JsonCodec,
    "pickle": UnsafePickleCodec,
    "str": StrCodec,
}


class DamagedBody(bytes):
    """A body that is not what was put: it does not end where its length says.

    A beanstalkd that is killed while it writes to its binlog finds a job there without
    its body, and serves that. What follows on the connection is in step still.
    """


def codec_of(codec: AnyCodec) -> Codec:
    """Return the codec of this name, or the object itself.

    Raises:
        ValueError: There is none of this name.
        TypeError: The object has no ``encode`` and ``decode``.
    """
    if isinstance(codec, str):
        if codec not in _CODECS:
            names = ", ".join(sorted(_CODECS))
            message = f"codec is one of {names}, or an object, not {codec!r}"
            raise ValueError(message)
        if codec == "pickle":
            message = (
                'codec="pickle" is unsafe: whoever can put a job can run any code in '
                "its consumer. Give codec=UnsafePickleCodec() if that is no harm."
            )
            warnings.warn(message, stacklevel=3)
        return _CODECS[codec]()
    for method in ("encode", "decode"):
        if not callable(getattr(codec, method, None)):
            message = f"a codec has {method}(), {type(codec).__name__} has not"
            raise TypeError(message)
    return codec


def encode(codec: Codec, body: object) -> bytes:
    """Return a body as bytes.

    Raises:
        TypeError: The codec cannot do it.
    """
    name = type(codec).__name__
    try:
        data: object = codec.encode(body)
    except Exception as error:
        why = failure_of(error).text
        message = f"{name} cannot encode this {type(body).__name__}: {why}"
        raise TypeError(message) from error
    if not isinstance(data, bytes):
        message = f"{name} makes {type(data).__name__} of a body, and not bytes"
        raise TypeError(message)
    return data


def decode(codec: Codec, data: bytes) -> Any:
    """Return the body that these bytes are.

    Raises:
        ValueError: The codec cannot do it.
    """
    if isinstance(data, DamagedBody):
        message = "the body is damaged: the server was killed while it wrote it"
        raise ValueError(message)  # noqa: TRY004 - as for each body that is none
    try:
        return codec.decode(data)
    except Exception as error:
        why = failure_of(error).text
        message = f"{type(codec).__name__} cannot decode the body: {why}"
        raise ValueError(message) from error
