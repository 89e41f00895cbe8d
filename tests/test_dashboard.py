"""The status page, asked by Starlette's client."""

from __future__ import annotations

import re
from concurrent.futures import ThreadPoolExecutor
from typing import TYPE_CHECKING, Any, NoReturn

import pytest
from starlette.applications import Starlette
from starlette.routing import Mount
from starlette.testclient import TestClient

from inproc_tubes import Broker
from inproc_tubes.dashboard import app, application
from inproc_tubes.testing import FakeClock, wait_until_waiting
from tests.threads import LONG

if TYPE_CHECKING:
    from collections.abc import Iterator

    from httpx2 import Response

HOSTILE = "<script>alert(1)</script>\"'&\udc80"
TOKEN = re.compile(r'name="token" value="([0-9a-f]+)"')


@pytest.fixture
def clock() -> FakeClock:
    """Make a clock that stands still."""
    return FakeClock()


@pytest.fixture
def broker(clock: FakeClock) -> Iterator[Broker]:
    """Make a broker that goes by it."""
    with Broker(clock=clock) as broker:
        yield broker


def visit(broker: Broker, *, actions: bool = False) -> TestClient:
    """Visit the page of a broker, mounted somewhere in a server."""
    server = Starlette(routes=[Mount("/ops/tubes", app(broker, actions=actions))])
    return TestClient(server, "http://testserver/ops/tubes/", follow_redirects=False)


@pytest.fixture
def client(broker: Broker) -> TestClient:
    """Look only."""
    return visit(broker)


@pytest.fixture
def actor(broker: Broker) -> TestClient:
    """Look, and act."""
    return visit(broker, actions=True)


def act(client: TestClient, page: str, **fields: object) -> Response:
    """Send a form with the token that a page has."""
    (token, *_) = TOKEN.findall(client.get(page).text)
    return client.post("act", data={"token": token, **fields})


# Looking


def test_the_overview_has_tubes_with_counts_and_who_holds_what(
    broker: Broker, clock: FakeClock, client: TestClient
) -> None:
    shop = broker.producer("orders", name="shop")
    shop.put_many(["a", "b"])
    packer = broker.consumer("orders", name="packer-1")
    packer.reserve()
    clock.advance(5)
    broker.limit_tube("orders", 3)
    broker.limit_tries("orders", 1)
    text = client.get("").text
    assert '<a href="./tube?name=orders">orders</a></th><td>1</td><td>1</td>' in text
    assert "at most 3 jobs, 1 try" in text
    held = '<a href="./job?id=1">1</a></th><td>packer-1</td>'
    assert held in text
    assert "<td>5.0 s</td><td>55.0 s</td>" in text
    assert '<th scope="row">shop</th><td>producer</td><td>orders</td>' in text


def test_an_empty_broker_has_a_page(broker: Broker, client: TestClient) -> None:
    broker.drain()
    text = client.get("").text
    assert "Nobody holds a job." in text
    assert "There are none." in text
    assert "draining" in text


def test_who_waits_and_a_pause_are_shown(broker: Broker, client: TestClient) -> None:
    broker.producer("orders").put("a")
    broker.pause_tube("orders", 7)
    assert "paused for 7.0 s" in client.get("").text


def test_rates_are_those_between_two_looks(
    broker: Broker, clock: FakeClock, client: TestClient
) -> None:
    producer = broker.producer("orders")
    assert "<td>-</td><td>-</td>" in client.get("").text
    producer.put_many(["a"] * 5)
    broker.delete(1)
    clock.advance(2)
    assert "<td>2.50</td><td>0.50</td>" in client.get("").text


def test_many_handles_and_held_jobs_are_cut(
    broker: Broker, client: TestClient, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("inproc_tubes.dashboard.pages._HANDLES", 1)
    broker.producer().put_many("ab" for _ in range(3))
    consumer = broker.consumer()
    consumer.reserve_many(3)
    assert client.get("").text.count("and 2 more") == 1
    producer = broker.producer()
    producer.put("c")
    assert "and 1 more" in client.get("").text


def test_a_tube_has_its_jobs_by_state(broker: Broker, client: TestClient) -> None:
    producer = broker.producer("orders")
    producer.put_many(["scarf", {"a": 1}, "piano"])
    producer.put("later", delay=5)
    consumer = broker.consumer("orders", name="packer")
    consumer.reserve().bury(error=ValueError("torn <b>"))
    consumer.reserve()
    text = client.get("tube?name=orders").text
    for state in ("Ready", "Reserved", "Delayed", "Buried"):
        assert f"<h2>{state} (1)</h2>" in text
    assert "<code>{&#x27;a&#x27;: 1}</code></td><td>packer</td>" in text
    assert '<span class="error">ValueError: torn &lt;b&gt;</span>' in text


def test_of_many_jobs_the_first_are_shown(
    broker: Broker, client: TestClient, monkeypatch: pytest.MonkeyPatch
) -> None:
    producer = broker.producer()
    producer.put_many(["ready"] * (application._SHOWN + 3))
    assert "and 3 more" in client.get("tube?name=default").text
    monkeypatch.setattr(application, "_LISTED", 1)
    broker.consumer().reserve_many(2)
    text = client.get("tube?name=default").text
    assert "and 100 more" in text
    assert '<h2>Reserved (2)</h2><p class="quiet">None is listed' in text


def test_of_too_many_jobs_that_have_gone_meanwhile_none_is_shown(
    broker: Broker, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(application, "_LISTED", 0)
    broker.producer().put("a")
    seen = broker.snapshot()
    monkeypatch.setattr(broker, "snapshot", lambda: seen)
    broker.delete(1)
    assert "<h2>Ready (1)</h2><p" in visit(broker).get("tube?name=default").text


def test_a_job_has_a_page(broker: Broker, client: TestClient) -> None:
    broker.producer().put("scarf", key="k1")
    text = client.get("job?id=1").text
    assert "<h1>Job 1</h1>" in text
    assert "<pre>&#x27;scarf&#x27;</pre>" in text
    assert '<th scope="row">key</th><td>k1</td>' in text
    assert "<h2>Error</h2>" not in text


def test_a_job_shows_what_it_failed_with(broker: Broker, client: TestClient) -> None:
    broker.producer().put("scarf")
    broker.limit_tries("default", 1)
    broker.consumer().reserve().release()
    text = client.get("job?id=1").text
    assert '<p class="error">tries: reserved once</p>' in text
    broker.kick_job(1)
    broker.consumer().reserve().bury(error=ValueError("torn"))
    text = client.get("job?id=1").text
    assert '<p class="error">ValueError: torn</p>' in text
    assert "<pre>ValueError: torn" in text


class Unshowable:
    def __repr__(self) -> NoReturn:
        raise ValueError(HOSTILE)


Unshowable.__name__ = HOSTILE.strip("\udc80")


class Liar(str):
    __slots__ = ()

    def __getitem__(self, _: object) -> NoReturn:
        raise ValueError(HOSTILE)


class Unsliceable:
    def __repr__(self) -> str:
        return Liar("x" * 99999)


Unsliceable.__name__ = Unshowable.__name__


@pytest.mark.parametrize(
    "body",
    [HOSTILE, [HOSTILE] * 100, Unshowable(), Unsliceable()],
    ids=["text", "list", "repr that raises", "repr that cannot be cut"],
)
def test_nothing_hostile_gets_into_a_page(broker: Broker, body: Any) -> None:
    producer = broker.producer(name=HOSTILE)
    producer.put(body, key=HOSTILE)
    producer.put_many([body] * 2)
    consumer = broker.consumer(name=HOSTILE)
    consumer.reserve().bury(error=ValueError(HOSTILE * 1000))
    consumer.reserve()
    for actions in (False, True):
        client = visit(broker, actions=actions)
        for page in ("", "tube?name=default", "job?id=1", "job?id=2"):
            answer = client.get(page)
            assert answer.status_code == 200
            assert "<script>" not in answer.text
            assert len(answer.text) < 100_000
            hostile_name = "&lt;script&gt;alert(1)&lt;/script&gt;&quot;&#x27;&amp;"
            assert hostile_name in answer.text


@pytest.mark.parametrize("name", ["", "nothing", HOSTILE, "x" * 5000])
def test_a_tube_that_is_not_there_is_not_found(client: TestClient, name: str) -> None:
    answer = client.get("tube", params={"name": name.replace("\udc80", "")})
    assert answer.status_code == 404
    assert "there is no tube" in answer.text
    assert "<script>" not in answer.text
    assert len(answer.text) < 5000


@pytest.mark.parametrize(
    ("number", "status"),
    [
        ("7", 404),
        ("0", 400),
        ("-1", 400),
        ("", 400),
        ("9" * 5000, 400),
        ("\u0663", 400),
    ],
)
def test_a_job_that_is_not_there_is_not_found(
    client: TestClient, number: str, status: int
) -> None:
    answer = client.get("job", params={"id": number})
    assert answer.status_code == status
    assert "<h1>" in answer.text


@pytest.mark.parametrize("page", ["", "tube?name=default", "job?id=1"])
def test_a_closed_broker_has_a_page(
    broker: Broker, client: TestClient, page: str
) -> None:
    broker.close()
    answer = client.get(page)
    assert answer.status_code == 503
    assert "<p>the broker was closed</p>" in answer.text


def test_all_links_are_relative(broker: Broker, actor: TestClient) -> None:
    broker.producer().put("a")
    for page in ("", "tube?name=default", "job?id=1"):
        text = actor.get(page).text
        links = re.findall(r'(?:href|src|action)="([^"]*)"', text)
        assert len(links) > 3
        for link in links:
            assert not link or link.startswith(("./", "#")) or link == "data:,"
    assert actor.get("style.css").headers["content-type"].startswith("text/css")
    assert actor.get("live.js").headers["content-type"].startswith("text/javascript")


@pytest.mark.parametrize(
    ("path", "status"), [("", 200), ("nothing", 404), ("style.css", 200), ("job", 400)]
)
def test_every_answer_has_the_headers_of_security(
    client: TestClient, path: str, status: int
) -> None:
    answer = client.get(path)
    assert answer.status_code == status
    policy = answer.headers["content-security-policy"]
    assert "default-src 'none'" in policy
    assert "frame-ancestors 'none'" in policy
    assert "unsafe" not in policy
    assert answer.headers["x-content-type-options"] == "nosniff"
    assert answer.headers["cache-control"] == "no-store"
    assert not re.search("<script(?! src=)|<style| on[a-z]+=| style=", answer.text)


def test_who_waits_for_room_is_shown(broker: Broker, client: TestClient) -> None:
    broker.limit_tube("default", 1)
    producer = broker.producer()
    producer.put("a")
    with ThreadPoolExecutor() as pool:
        waits = pool.submit(producer.put, "b", timeout=LONG)
        wait_until_waiting(broker, 1)
        assert "1 put waiting" in client.get("").text
        broker.delete(1)
        waits.result(LONG)


# Acting


def test_it_is_read_only_by_default(broker: Broker, client: TestClient) -> None:
    broker.producer().put("a")
    for page in ("", "tube?name=default", "job?id=1"):
        answer = client.get(page)
        assert "<form" not in answer.text
        assert "set-cookie" not in answer.headers
        assert client.post(page).status_code == 405
    assert client.post("act", data={"action": "delete", "job": 1}).status_code == 404
    assert broker.peek(1).body == "a"


def test_jobs_are_kicked(broker: Broker, actor: TestClient) -> None:
    broker.producer("orders").put_many(["a", "b"])
    for job in broker.consumer("orders").reserve_many(2):
        job.bury()
    page = "tube?name=orders"
    answer = act(actor, page, action="kick", tube="orders", bound=1)
    assert (answer.status_code, answer.headers["location"]) == (303, f"./{page}")
    assert broker.stats_tube("orders").current_jobs_buried == 1
    answer = act(actor, "job?id=2", action="kick_job", job=2)
    assert answer.headers["location"] == "./job?id=2"
    assert broker.stats_tube("orders").current_jobs_ready == 2


def test_a_job_is_buried(broker: Broker, actor: TestClient) -> None:
    broker.producer("orders").put("a")
    page = "job?id=1"
    assert "Bury</button>" in actor.get(page).text
    answer = act(actor, page, action="bury", job=1)
    assert answer.headers["location"] == f"./{page}"
    assert broker.stats_job(1).state == "buried"
    assert "Bury</button>" not in actor.get(page).text
    assert act(actor, page, action="bury", job=1).status_code == 409


def test_a_job_is_deleted(broker: Broker, actor: TestClient) -> None:
    broker.producer("orders").put_many(["a", "b"])
    page = "tube?name=orders"
    answer = act(actor, "job?id=1", action="delete", job=1, tube="orders")
    assert answer.headers["location"] == f"./{page}"
    answer = act(actor, "job?id=2", action="delete", job=2, tube="orders")
    assert answer.headers["location"] == "./"  # the tube has gone with its last job
    assert broker.tubes() == ["default"]


def test_a_tube_is_paused_and_resumed(broker: Broker, actor: TestClient) -> None:
    page = "tube?name=default"
    assert "Resume" not in actor.get(page).text
    act(actor, page, action="pause", tube="default", seconds="1.5")
    assert broker.stats_tube("default").pause == 1.5
    assert "Resume" in actor.get(page).text
    act(actor, page, action="pause", tube="default", seconds="0")
    assert broker.stats_tube("default").pause == 0


@pytest.mark.parametrize(
    ("state", "left"), [("buried", 2), ("delayed", 2), ("ready", 2), ("all", 0)]
)
def test_a_tube_is_cleared(
    broker: Broker, actor: TestClient, state: str, left: int
) -> None:
    broker.producer().put_many(["a", "b"])
    broker.producer().put("c", delay=5)
    broker.consumer().reserve().bury()
    act(actor, "tube?name=default", action="clear", tube="default", state=state)
    assert len(broker.jobs("default")) == left


def test_a_job_in_hand_has_no_forms_and_is_not_deleted(
    broker: Broker, actor: TestClient
) -> None:
    broker.producer().put("a")
    broker.consumer(name="packer").reserve()
    assert "<form" not in actor.get("job?id=1").text
    answer = act(actor, "tube?name=default", action="delete", job=1)
    assert answer.status_code == 409
    assert "packer" in answer.text


@pytest.mark.parametrize(
    ("fields", "status"),
    [
        ({}, 400),
        ({"action": "explode"}, 400),
        ({"action": "kick", "tube": "default"}, 400),
        ({"action": "kick", "tube": HOSTILE.replace("\udc80", ""), "bound": 1}, 400),
        ({"action": "kick", "tube": "default", "bound": "0"}, 400),
        ({"action": "pause", "tube": "nothing", "seconds": 1}, 409),
        ({"action": "pause", "tube": "default", "seconds": "nan"}, 400),
        ({"action": "pause", "tube": "default", "seconds": "-1"}, 400),
        ({"action": "pause", "tube": "default", "seconds": "soon"}, 400),
        ({"action": "clear", "tube": "default"}, 400),
        ({"action": "clear", "tube": "default", "state": "reserved"}, 400),
        ({"action": "delete", "job": "99"}, 409),
        ({"action": "delete", "job": "x"}, 400),
        ({"action": "delete", "job": "1", "more": "x" * 20_000}, 413),
    ],
)
def test_a_wrong_form_changes_nothing(
    broker: Broker, actor: TestClient, fields: dict[str, object], status: int
) -> None:
    broker.producer().put("a")
    answer = act(actor, "tube?name=default", **fields)
    assert answer.status_code == status
    assert "<script>" not in answer.text
    assert len(broker.jobs("default")) == 1
    assert broker.stats_tube("default").pause == 0


def test_a_form_to_a_closed_broker_has_a_page(
    broker: Broker, actor: TestClient
) -> None:
    (token, *_) = TOKEN.findall(actor.get("tube?name=default").text)
    broker.close()
    answer = actor.post(
        "act", data={"token": token, "action": "kick", "tube": "a", "bound": 1}
    )
    assert answer.status_code == 503


# Forgery


@pytest.mark.parametrize("wrong", ["", "0" * 64, "\xe9", None])
def test_a_form_with_a_wrong_token_is_refused(
    broker: Broker, actor: TestClient, wrong: str | None
) -> None:
    broker.producer().put("a")
    actor.get("job?id=1")
    (others, *_) = TOKEN.findall(visit(broker, actions=True).get("job?id=1").text)
    token = others if wrong is None else wrong
    fields = {"token": token, "action": "delete", "job": 1}
    assert actor.post("act", data=fields).status_code == 403
    assert broker.peek(1).body == "a"


def test_a_token_without_its_cookie_is_refused(
    broker: Broker, actor: TestClient
) -> None:
    broker.producer().put("a")
    (token, *_) = TOKEN.findall(actor.get("job?id=1").text)
    actor.cookies.clear()
    fields = {"token": token, "action": "delete", "job": 1}
    # So is it from a frame in a page of another site, which gets no cookie of ours.
    assert actor.post("act", data=fields).status_code == 403
    assert broker.peek(1).body == "a"


@pytest.mark.parametrize("site", ["cross-site", "same-site", "none"])
def test_a_form_from_another_site_is_refused_even_with_the_token(
    broker: Broker, actor: TestClient, site: str
) -> None:
    broker.producer().put("a")
    (token, *_) = TOKEN.findall(actor.get("job?id=1").text)
    fields = {"token": token, "action": "delete", "job": 1}
    answer = actor.post("act", data=fields, headers={"sec-fetch-site": site})
    assert answer.status_code == 403
    assert broker.peek(1).body == "a"


def test_the_cookie_is_for_this_site_and_no_script(
    broker: Broker, actor: TestClient
) -> None:
    cookie = actor.get("tube?name=default").headers["set-cookie"]
    assert "HttpOnly" in cookie
    assert "SameSite=strict" in cookie
    assert "Secure" not in cookie
    assert "Path" not in cookie
    actor.base_url = "https://testserver/ops/tubes/"
    assert "Secure" in actor.get("tube?name=default").headers["set-cookie"]
    assert broker.tubes() == ["default"]


def test_a_cookie_of_another_form_is_replaced(actor: TestClient) -> None:
    name = actor.get("tube?name=default").headers["set-cookie"].partition("=")[0]
    actor.cookies.clear()
    answer = actor.get("tube?name=default", headers={"cookie": f"{name}=mine"})
    assert re.match(rf"{name}=[0-9a-f]{{32}};", answer.headers["set-cookie"])


def test_forms_are_posted_and_urlencoded(broker: Broker, actor: TestClient) -> None:
    broker.producer().put("a")
    for method in ("GET", "PUT", "DELETE"):
        answer = actor.request(method, "act?action=delete&job=1")
        assert answer.status_code == 405
        assert answer.headers["allow"] == "POST"
    answer = actor.post("act", json={"action": "delete", "job": 1})
    assert answer.status_code == 415
    assert broker.peek(1).body == "a"


def test_arguments_are_checked(broker: Broker) -> None:
    with pytest.raises(TypeError, match=r"^broker is a Broker, not str$"):
        app("broker")  # type: ignore[arg-type]  # that is the point
    with pytest.raises(TypeError, match=r"^actions is a bool, not int$"):
        app(broker, actions=1)  # type: ignore[arg-type]  # that is the point
