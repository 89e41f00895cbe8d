"""What the tests of connections in memory share."""

from __future__ import annotations

import gc
import socket
import threading
from concurrent.futures import Future
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from collections.abc import Callable

HOME = ("127.0.0.1", 11300)
PUT = b"put 0 0 60 1\r\na\r\n"
PUT_LATE = b"put 0 10 60 1\r\na\r\n"
RESERVED = b"RESERVED 1 1\r\na\r\n"
UNIX = hasattr(socket, "AF_UNIX")


def ask(sock: socket.socket, command: bytes) -> bytes:
    sock.sendall(command)
    return sock.recv(1000)


def answers(sock: socket.socket) -> bool:
    return ask(sock, b"list-tube-used\r\n") == b"USING default\r\n"


def collect(leaked: list[Any]) -> None:
    leaked.clear()
    gc.collect()


def in_thread(function: Callable[[], object]) -> Future[Any]:
    future: Future[Any] = Future()

    def run() -> None:
        try:
            future.set_result(function())
        except BaseException as error:  # noqa: BLE001 # the test looks at it
            future.set_exception(error)

    threading.Thread(target=run, daemon=True).start()
    return future
