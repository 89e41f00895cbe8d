"""The ASGI application: which page is where, and what a form does."""

from __future__ import annotations

from importlib.resources import files
from typing import TYPE_CHECKING, Any
from urllib.parse import parse_qsl, urlencode

from starlette.applications import Starlette
from starlette.concurrency import run_in_threadpool
from starlette.exceptions import HTTPException
from starlette.middleware import Middleware
from starlette.responses import RedirectResponse, Response
from starlette.routing import Route

from inproc_tubes.broker import Broker
from inproc_tubes.core.job import JobState
from inproc_tubes.errors import ClosedError, NotFoundError
from inproc_tubes.rates import Rates

from .forgery import Forgery
from .pages import Listed, job_page, message_page, overview_page, tube_page

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

    from starlette.requests import Request
    from starlette.types import ASGIApp, Message, Receive, Scope, Send

    from inproc_tubes.core.statistics import TubeStats

__all__ = ["app"]

_SHOWN = 100  # jobs in each state
# With more jobs in one state only the first is shown: to list them all takes the broker
# a while, in which it serves nobody.
_LISTED = 10_000
_LONGEST = 10_000  # bytes of a form
_DIGITS = 18  # of a number in a form: more than there will be jobs

_HEADERS = {
    "cache-control": "no-store",
    "content-security-policy": (
        "default-src 'none'; style-src 'self'; script-src 'self'; connect-src 'self'; "
        "img-src data:; form-action 'self'; base-uri 'none'; frame-ancestors 'none'"
    ),
    "cross-origin-opener-policy": "same-origin",
    "cross-origin-resource-policy": "same-origin",
    "referrer-policy": "same-origin",
    "x-content-type-options": "nosniff",
    "x-frame-options": "DENY",
}
_RAW_HEADERS = [(name.encode(), text.encode()) for name, text in _HEADERS.items()]


def app(broker: Broker[Any], *, actions: bool = False) -> Starlette:
    """Return a status page as an ASGI application, to be mounted in your own server.

    It shows the tubes with their counts and rates, who holds what and since when, the
    jobs of a tube, and what buried jobs have failed with. It shows bodies, too, and
    asks for no password: let your server decide who may see the page.

    It may be mounted under any path, and opens no port. It works without JavaScript,
    and updates itself with it. A broker that is closed has a page that says so.

    Args:
        broker: The broker.
        actions: Whether visitors may also kick, bury and delete jobs, and pause and clear
            tubes. They do so by POST, with a token that other sites do not know.

    Returns:
        The application. It has no lifespan of its own.

    Raises:
        TypeError: That is not a broker, or ``actions`` is not a bool.

    Cost: O(1). A look costs that of `Broker.snapshot`; at a tube, that of `Broker.jobs`
    for each state in which it has no more than 10,000 jobs.
    """
    _check(broker, actions)
    views = _Views(broker, actions=actions)
    routes = [
        Route("/", views.overview),
        Route("/tube", views.tube),
        Route("/job", views.job),
        Route("/style.css", _file("style.css", "text/css")),
        Route("/live.js", _file("live.js", "text/javascript")),
    ]
    if actions:
        routes.append(Route("/act", views.act, methods=["POST"]))
    return Starlette(
        routes=routes,
        middleware=[Middleware(_Headers)],
        exception_handlers={
            ClosedError: _closed,
            NotFoundError: _gone,
            HTTPException: _refused,
        },
    )


def _check(broker: object, actions: object) -> None:
    if not isinstance(broker, Broker):
        message = f"broker is a Broker, not {type(broker).__name__}"
        raise TypeError(message)
    if not isinstance(actions, bool):
        message = f"actions is a bool, not {type(actions).__name__}"
        raise TypeError(message)


class _Headers:
    """Adds the headers of security to every answer."""

    def __init__(self, app: ASGIApp) -> None:
        self._app = app

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        async def send_with(message: Message) -> None:
            if message["type"] == "http.response.start":
                message["headers"] = [*message["headers"], *_RAW_HEADERS]
            await send(message)

        await self._app(scope, receive, send_with)


def _file(name: str, media_type: str) -> Callable[[Request], Response]:
    content = files(__package__).joinpath(name).read_bytes()

    def serve(_request: Request) -> Response:
        return Response(content, media_type=media_type)

    return serve


def _html(text: str, status: int = 200) -> Response:
    # Texts of users may have lone surrogates, which have no UTF-8.
    content = text.encode("utf-8", "backslashreplace")
    return Response(content, status, media_type="text/html; charset=utf-8")


def _closed(_request: Request, error: Exception) -> Response:
    return _html(message_page("Closed", str(error)), 503)


def _gone(_request: Request, error: Exception) -> Response:
    return _html(message_page("Not found", str(error)), 404)


def _refused(_request: Request, error: Exception) -> Response:
    assert isinstance(error, HTTPException)
    response = _html(message_page("Refused", error.detail), error.status_code)
    response.headers.update(error.headers or {})
    return response


class _Views:
    """The pages of one broker. Starlette calls those that are no coroutines in threads."""

    def __init__(self, broker: Broker[Any], *, actions: bool) -> None:
        self._broker = broker
        self._rates = Rates()
        self._forgery = Forgery() if actions else None

    def overview(self, _request: Request) -> Response:
        """Show all tubes and handles."""
        seen = self._broker.snapshot()
        return _html(overview_page(seen, self._rates.look(seen)))

    def tube(self, request: Request) -> Response:
        """Show a tube and its jobs."""
        name = request.query_params.get("name", "")
        seen = self._broker.snapshot()
        rates = self._rates.look(seen)
        stats = seen.tubes.get(name)
        if stats is None:
            raise HTTPException(404, f"there is no tube {name[:200]!r}")
        listed = [
            self._listed(stats, state) for state in JobState if _count(stats, state)
        ]
        return self._answer(
            request, lambda token: tube_page(stats, rates, listed, token)
        )

    def _listed(self, stats: TubeStats, state: JobState) -> Listed:
        count = _count(stats, state)
        if count <= _LISTED:
            jobs = self._broker.jobs(stats.name, state)
            return Listed(state, len(jobs), jobs[:_SHOWN])
        looks = {
            JobState.READY: self._broker.peek_ready,
            JobState.DELAYED: self._broker.peek_delayed,
            JobState.BURIED: self._broker.peek_buried,
        }
        try:
            first = [looks[state](stats.name)] if state in looks else []
        except NotFoundError:  # they have gone since
            first = []
        return Listed(state, count, first)

    def job(self, request: Request) -> Response:
        """Show a job."""
        job_id = _whole(request.query_params, "id")
        job, stats = self._broker.peek(job_id), self._broker.stats_job(job_id)
        return self._answer(request, lambda token: job_page(job, stats, token))

    def _answer(self, request: Request, page: Callable[[str | None], str]) -> Response:
        """Return a page with forms, if there are to be forms."""
        forgery = self._forgery
        if forgery is None:
            return _html(page(None))
        visitor = forgery.visitor_of(request)
        response = _html(page(forgery.token_for(visitor)))
        forgery.remember(request, response, visitor)
        return response

    async def act(self, request: Request) -> Response:
        """Do what a form says."""
        form = await _form_of(request)
        assert self._forgery is not None
        if not self._forgery.allows(request, form.get("token", "")):
            raise HTTPException(403, "this form is not from here, or is too old")
        try:
            back = await run_in_threadpool(self._do, form)
        except NotFoundError as error:
            raise HTTPException(409, str(error)) from None
        except ValueError as error:
            raise HTTPException(400, str(error)) from None
        return RedirectResponse(back, 303)

    def _do(self, form: Mapping[str, str]) -> str:
        """Call a verb, and return where to go from there."""
        broker, tube = self._broker, form.get("tube", "")
        match form.get("action"):
            case "kick":
                broker.kick(tube, _whole(form, "bound"))
            case "pause":
                broker.pause_tube(tube, _seconds(form))
            case "clear":
                state = form.get("state")
                # By name, so that nothing that is missing means all.
                broker.clear_tube(tube, None if state == "all" else _unheld(state))
            case "delete":
                broker.delete(_whole(form, "job"))
            case "kick_job":
                return self._done_to_a_job(broker.kick_job, form)
            case "bury":
                return self._done_to_a_job(broker.bury, form)
            case _:
                raise HTTPException(400, "there is no such action")
        still_there = tube in broker.tubes()
        return f"./tube?{urlencode({'name': tube})}" if still_there else "./"

    def _done_to_a_job(
        self, verb: Callable[[int], None], form: Mapping[str, str]
    ) -> str:
        job_id = _whole(form, "job")
        verb(job_id)
        return f"./job?{urlencode({'id': job_id})}"


def _count(stats: TubeStats, state: JobState) -> int:
    return {
        JobState.READY: stats.current_jobs_ready,
        JobState.RESERVED: stats.current_jobs_reserved,
        JobState.DELAYED: stats.current_jobs_delayed,
        JobState.BURIED: stats.current_jobs_buried,
    }.get(state, 0)


def _unheld(state: str | None) -> JobState:
    for one in (JobState.READY, JobState.DELAYED, JobState.BURIED):
        if one.value == state:
            return one
    raise HTTPException(400, "state is one of ready, delayed, buried and all")


def _whole(fields: Mapping[str, str], name: str) -> int:
    text = fields.get(name, "")
    if not (text.isascii() and text.isdigit() and len(text) <= _DIGITS) or not int(
        text
    ):
        raise HTTPException(400, f"{name} is a whole number from 1")
    return int(text)


def _seconds(fields: Mapping[str, str]) -> float:
    try:
        return float(fields.get("seconds", ""))
    except ValueError:
        raise HTTPException(400, "seconds is a number") from None


async def _form_of(request: Request) -> dict[str, str]:
    kind = request.headers.get("content-type", "").partition(";")[0].strip().lower()
    if kind != "application/x-www-form-urlencoded":
        raise HTTPException(415, "a form is expected")
    content = b""
    async for chunk in request.stream():
        content += chunk
        if len(content) > _LONGEST:
            raise HTTPException(413, "the form is too long")
    return dict(parse_qsl(content.decode("utf-8", "replace"), keep_blank_values=True))
