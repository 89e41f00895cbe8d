"""A web service that takes orders at once, and packs them after it has answered.

The handlers of requests put jobs and do not wait: an order is answered with 202, and
with 503 if the tube has as many jobs as it may have. An `AsyncWorker` in the lifespan of
the application does them, in the same event loop. When the server shuts down, it takes
no more, and what is in hand is finished before the process ends.

A job runs in the context of the request that has put it: so its log lines have the
request's id.

Serve it with ``uvicorn --app-dir examples --factory web_service:make_app``. Run as a
program, it is its own customer, by Starlette's test client.

Prints:
    202 {'order': 1}
    202 {'order': 2}
    503 {'error': 'too many orders, please try again'}
    200 {'order': 1, 'state': 'reserved'}
    200 {'order': 2, 'state': 'ready'}
    request 7 packs scarf
    request 8 packs piano
    200 {'order': 2, 'state': 'done'}
"""

from __future__ import annotations

import asyncio
from contextlib import asynccontextmanager
from contextvars import ContextVar
from typing import TYPE_CHECKING

from starlette.applications import Starlette
from starlette.responses import JSONResponse, Response
from starlette.routing import Route

from inproc_tubes import Broker, Job, NotFoundError, TubeFullError
from inproc_tubes.worker import AsyncWorker

if TYPE_CHECKING:
    from collections.abc import AsyncIterator

    from starlette.requests import Request

request_id: ContextVar[str] = ContextVar("request_id", default="-")


def make_app(room: int = 1000) -> Starlette:
    """Make the application, with a broker and a worker of its own."""
    broker: Broker[str] = Broker()
    broker.limit_tube("orders", room)
    orders = broker.producer("orders", context=True)
    worker = AsyncWorker(broker, tasks=1, stop_timeout=20)
    opened = asyncio.Event()  # the shop's door, for the show

    @worker.handles("orders")
    async def pack(job: Job[str]) -> None:
        await opened.wait()
        print(f"request {request_id.get()} packs {job.body}")

    async def order(request: Request) -> Response:
        request_id.set(request.headers.get("x-request-id", "-"))
        try:
            number = orders.put((await request.body()).decode(), timeout=0)
        except TubeFullError:
            return JSONResponse(
                {"error": "too many orders, please try again"},
                status_code=503,
                headers={"Retry-After": "5"},
            )
        return JSONResponse({"order": number}, status_code=202)

    async def show(request: Request) -> Response:
        number = request.path_params["number"]
        try:
            state = broker.stats_job(number).state
        except NotFoundError:
            state = "done"
        return JSONResponse({"order": number, "state": state})

    async def open_shop(_request: Request) -> Response:
        opened.set()
        await broker.async_join("orders")
        return Response()

    @asynccontextmanager
    async def lifespan(_app: Starlette) -> AsyncIterator[None]:
        with broker:
            async with worker:
                yield

    routes = [
        Route("/orders", order, methods=["POST"]),
        Route("/orders/{number:int}", show),
        Route("/open", open_shop, methods=["POST"]),
    ]
    return Starlette(routes=routes, lifespan=lifespan)


def main() -> None:
    """Order something."""
    from starlette.testclient import TestClient  # noqa: PLC0415 - not for a server

    with TestClient(make_app(room=2)) as client:
        for number, what in enumerate(["scarf", "piano", "drum"], start=7):
            headers = {"x-request-id": str(number)}
            answer = client.post("/orders", content=what, headers=headers)
            print(answer.status_code, answer.json())
        for order in (1, 2):
            answer = client.get(f"/orders/{order}")
            print(answer.status_code, answer.json())
        client.post("/open")
        answer = client.get("/orders/2")
        print(answer.status_code, answer.json())


if __name__ == "__main__":
    main()
