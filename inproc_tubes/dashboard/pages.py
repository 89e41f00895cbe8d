"""The pages, as functions of what was seen.

They are made by `markup.tag`, which escapes all that is no HTML: a template engine would
be one more package for three pages, and would have to be told to escape. All pages are in
one folder, and all links are relative to it, so that it may be anywhere.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, NamedTuple
from urllib.parse import urlencode

from inproc_tubes.core.job import JobState
from inproc_tubes.core.text import counted
from inproc_tubes.markup import Html, cut, join, shown, table, tag

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping

    from inproc_tubes.core.job import AnyHandle
    from inproc_tubes.core.statistics import (
        BrokerSnapshot,
        HandleStats,
        JobStats,
        TubeStats,
    )
    from inproc_tubes.rates import Rate

__all__ = ["Listed", "job_page", "message_page", "overview_page", "tube_page"]

_CELL = 120  # characters of a body or an error in a table
_PAGE = 10_000  # and on the page of its job

_HANDLES = 500  # in the overview, and as many held jobs


class Listed(NamedTuple):
    """Jobs of a tube in one state, all or the first of them."""

    state: JobState
    total: int
    jobs: list[AnyHandle]


def _link(page: str, text: object, **query: object) -> Html:
    return tag("a", text, href=f"./{page}?{urlencode(query)}")


def _tube_link(name: str) -> Html:
    return _link("tube", name, name=name)


def _job_link(job_id: int) -> Html:
    return _link("job", job_id, id=job_id)


def _seconds(value: float) -> str:
    return f"{value:,.1f} s"


def _quiet(text: str) -> Html:
    return tag("p", text, class_="quiet")


def _scroll(inner: Html) -> Html:
    # What scrolls can be reached by the keyboard.
    return tag("div", inner, class_="scroll", tabindex="0", role="group")


def _page(title: str, *main: object) -> str:
    head = tag(
        "head",
        tag("meta", charset="utf-8"),
        tag("meta", name="viewport", content="width=device-width, initial-scale=1"),
        tag("title", f"{title} - inproc_tubes"),
        tag("link", rel="icon", href="data:,"),
        tag("link", rel="stylesheet", href="./style.css"),
        tag("script", src="./live.js", defer=True),
    )
    header = tag(
        "header",
        tag("a", "Skip to content", href="#main", class_="skip"),
        tag("a", "Tubes", href="./"),
        tag("a", "Refresh", href=""),
        tag(
            "button",
            "Update by itself",
            id="live",
            type="button",
            aria_pressed="true",
            hidden=True,
        ),
    )
    body = tag("main", tag("h1", title), *main, id="main", tabindex="-1")
    return f"<!doctype html>{tag('html', head, tag('body', header, body), lang='en')}"


def message_page(title: str, text: str) -> str:
    """Return a page that says one thing."""
    return _page(title, tag("p", text))


# The overview


def overview_page(seen: BrokerSnapshot, rates: Mapping[str, Rate]) -> str:
    """Return the page of all tubes and handles."""
    stats = seen.stats
    facts = [
        counted(len(seen.tubes), "tube"),
        f"{stats.total_jobs:,} put so far",
        f"up for {_seconds(stats.uptime)}",
        "draining" if stats.draining else "",
    ]
    return _page(
        "Tubes",
        _quiet(", ".join(filter(None, facts))),
        _tubes(seen.tubes.values(), rates),
        tag("h2", "Who holds what"),
        _holds(seen),
        tag("h2", "Producers and consumers"),
        _handles(seen.handles),
    )


def _rate(rates: Mapping[str, Rate], tube: str) -> tuple[str, str]:
    if tube not in rates:
        return "-", "-"
    rate = rates[tube]
    return f"{rate.put:,.2f}", f"{rate.deleted:,.2f}"


def _tubes(tubes: Iterable[TubeStats], rates: Mapping[str, Rate]) -> Html:
    heads = ["tube", "ready", "reserved", "delayed", "buried", "put/s", "deleted/s"]
    rows = [
        (
            _tube_link(one.name),
            one.current_jobs_ready,
            one.current_jobs_reserved,
            one.current_jobs_delayed,
            one.current_jobs_buried,
            *_rate(rates, one.name),
            one.total_jobs,
            one.current_using,
            f"{one.current_watching} ({one.current_waiting} waiting)",
            _limits(one),
        )
        for one in tubes
    ]
    return _scroll(table([*heads, "total", "producers", "consumers", ""], rows))


def _limits(tube: TubeStats) -> str:
    parts = (
        f"paused for {_seconds(tube.pause_time_left)}" if tube.pause else "",
        f"at most {counted(tube.maxsize, 'job')}" if tube.maxsize else "",
        f"{counted(tube.max_tries, 'try').replace('trys', 'tries')}"
        if tube.max_tries
        else "",
        f"{counted(tube.current_putting, 'put')} waiting"
        if tube.current_putting
        else "",
    )
    return ", ".join(filter(None, parts))


def _holds(seen: BrokerSnapshot) -> Html:
    held = [(handle, job) for handle in seen.handles for job in handle.holds]
    if not held:
        return _quiet("Nobody holds a job.")
    held.sort(key=lambda pair: pair[1].reserved_at)  # the longest first
    rows = [
        (
            _job_link(job.id),
            handle.name,
            _tube_link(job.tube),
            _seconds(seen.now - job.reserved_at),
            _seconds(job.time_left),
        )
        for handle, job in held[:_HANDLES]
    ]
    return join(
        _scroll(table(["job", "holder", "tube", "for", "time left"], rows)),
        _more(len(held), len(rows)),
    )


def _more(count: int, listed: int) -> Html:
    return _quiet(f"and {count - listed:,} more") if count > listed else join()


def _handles(handles: tuple[HandleStats, ...]) -> Html:
    if not handles:
        return _quiet("There are none.")
    rows = [
        (
            one.name,
            one.kind,
            one.using or ", ".join(one.watching),
            len(one.holds),
            one.waiting + one.putting,
        )
        for one in handles[:_HANDLES]
    ]
    return join(
        _scroll(table(["name", "kind", "tubes", "holds", "waits"], rows)),
        _more(len(handles), len(rows)),
    )


# A tube


def tube_page(
    stats: TubeStats,
    rates: Mapping[str, Rate],
    listed: Iterable[Listed],
    token: str | None,
) -> str:
    """Return the page of a tube; with a token, its forms too."""
    return _page(
        f"Tube {stats.name}",
        _tubes([stats], rates),
        join() if token is None else _tube_forms(stats, token),
        *map(_jobs, listed),
    )


def _jobs(listed: Listed) -> Html:
    title = tag("h2", f"{listed.state.value.capitalize()} ({listed.total:,})")
    if not listed.jobs:
        return join(title, _quiet("None is listed: they are too many, or have gone."))
    heads = ["job", "priority", "tries", "body"]
    if listed.state is JobState.RESERVED:
        heads.append("holder")
    heads.append("error")
    rows = []
    for job in listed.jobs:
        row: list[object] = [_job_link(job.id), job.priority, job.reserves]
        row.append(tag("code", shown(job.body, _CELL)))
        if listed.state is JobState.RESERVED:
            row.append(job.holder)
        headline = "" if job.error is None else job.error.headline
        row.append(tag("span", headline, class_="error"))
        rows.append(row)
    return join(title, _scroll(table(heads, rows)), _more(listed.total, len(rows)))


def _form(action: str, token: str, *parts: object, **hidden: object) -> Html:
    fields = {"token": token, "action": action, **hidden}
    inputs = (
        tag("input", type="hidden", name=name, value=str(value))
        for name, value in fields.items()
    )
    return tag("form", *inputs, *parts, method="post", action="./act")


def _submit(text: str) -> Html:
    return tag("button", text, type="submit")


def _number(label: str, name: str, value: str, least: str, step: str) -> Html:
    field = tag(
        "input",
        name=name,
        type="number",
        value=value,
        min=least,
        step=step,
        required=True,
    )
    return tag("label", f"{label} ", field)


def _tube_forms(stats: TubeStats, token: str) -> Html:
    name = stats.name
    states = [
        tag("option", text, value=value)
        for value, text in (
            ("buried", "buried jobs"),
            ("delayed", "delayed jobs"),
            ("ready", "ready jobs"),
            ("all", "all that nobody holds"),
        )
    ]
    choice = tag("label", "Delete ", tag("select", *states, name="state"))
    pause = _number("for seconds", "seconds", "60", "0", "any")
    forms = [
        _form(
            "kick",
            token,
            _submit("Kick"),
            _number("at most", "bound", "1", "1", "1"),
            tube=name,
        ),
        _form("pause", token, _submit("Pause"), pause, tube=name),
    ]
    if stats.pause:
        forms.append(_form("pause", token, _submit("Resume"), tube=name, seconds=0))
    clear = _form("clear", token, choice, _submit("Delete them for good"), tube=name)
    forms.append(tag("details", tag("summary", "Clear..."), clear))
    return tag("div", *forms, class_="actions")


# A job


def job_page(job: AnyHandle, stats: JobStats, token: str | None) -> str:
    """Return the page of a job; with a token, its forms too."""
    facts: list[tuple[str, object]] = [
        ("tube", _tube_link(stats.tube)),
        ("state", stats.state),
        ("holder", stats.holder or "-"),
        ("priority", stats.priority),
        ("age", _seconds(stats.age)),
        ("delay", _seconds(stats.delay)),
        ("time to run", _seconds(stats.ttr)),
        ("time left", _seconds(stats.time_left)),
        ("tries", stats.reserves),
        ("expired reservations", stats.timeouts),
        ("released", stats.releases),
        ("buried", stats.buries),
        ("kicked", stats.kicks),
    ]
    if job.key is not None:
        facts.append(("key", job.key))
    return _page(
        f"Job {job.id}",
        table(["", ""], facts),
        join() if token is None else _job_forms(stats, token),
        tag("h2", "Body"),
        tag("pre", shown(job.body, _PAGE)),
        _error(job),
    )


def _job_forms(stats: JobStats, token: str) -> Html:
    forms = []
    if stats.state in {"buried", "delayed"}:
        forms.append(_form("kick_job", token, _submit("Kick"), job=stats.id))
    if stats.state in {"ready", "delayed"}:
        forms.append(_form("bury", token, _submit("Bury"), job=stats.id))
    if stats.state != "reserved":
        where = {"job": stats.id, "tube": stats.tube}
        sure = _form("delete", token, _submit("Delete it for good"), **where)
        forms.append(tag("details", tag("summary", "Delete..."), sure))
    return tag("div", *forms, class_="actions")


def _error(job: AnyHandle) -> Html:
    error = job.error
    if error is None:
        return join()
    return join(
        tag("h2", "Error"),
        tag("p", cut(f"{error.type}: {error.text}", _PAGE), class_="error"),
        _quiet(f"try {error.attempt}, in the tube {error.tube}"),
        tag("pre", cut(error.traceback, _PAGE)) if error.traceback else join(),
    )
