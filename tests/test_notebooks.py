"""What a notebook shows: HTML, cut and escaped."""

from __future__ import annotations

from typing import Any

from inproc_tubes import Broker
from inproc_tubes.core.job import Job

HOSTILE = "<script>alert(1)</script>"
ESCAPED = "&lt;script&gt;alert(1)&lt;/script&gt;"


def test_a_broker_shows_its_tubes() -> None:
    with Broker() as broker:
        broker.producer("orders").put_many(["a", "b"])
        html = broker._repr_html_()
    assert "&lt;Broker: 2 ready in 2 tubes&gt;" in html
    row = '<th scope="row">orders</th><td>2</td><td>0</td><td>0</td><td>0</td>'
    assert row in html
    assert "more" not in html


def test_a_closed_broker_shows_that() -> None:
    broker = Broker()
    broker.close()
    assert "&lt;Broker: the broker was closed&gt;" in broker._repr_html_()
    assert "<table>" not in broker._repr_html_()


def test_many_tubes_are_cut() -> None:
    with Broker() as broker:
        for number in range(200):
            broker.producer(f"tube-{number}").put("a")
        html = broker._repr_html_()
    assert "and 101 more" in html
    assert html.count("<tr>") == 101


def test_a_tube_shows_its_statistics() -> None:
    with Broker() as broker:
        broker.producer("orders").put("a")
        html = broker.stats_tube("orders")._repr_html_()
    assert "<b>Tube orders</b>" in html
    assert '<th scope="row">current_jobs_ready</th><td>1</td>' in html
    assert '<th scope="row">name</th>' not in html


def test_a_job_is_escaped_and_cut() -> None:
    with Broker() as broker:
        broker.producer().put(HOSTILE + "x" * 9999)
        job = broker.consumer(name=HOSTILE).reserve()
        assert f"reserved by &#x27;{ESCAPED}&#x27;" in job._repr_html_()
        assert "error" not in job._repr_html_()
        job.bury(error=ValueError(HOSTILE * 1000))
        for html in (job._repr_html_(), broker.peek(1)._repr_html_()):
            assert ESCAPED in html
            assert "ValueError" in html
            assert HOSTILE not in html
            assert len(html) < 5000


def test_a_job_that_was_never_reserved_shows_its_state() -> None:
    with Broker() as broker:
        broker.producer().put("a")
        record: Any = broker._engine.store.jobs[1]
        assert isinstance(record, Job)
        assert '<th scope="row">state</th><td>ready</td>' in record._repr_html_()
