"""The status page in a real browser, headless, from a real server.

The pictures are kept where INPROC_TUBES_SCREENSHOTS names a folder. Those of the shop are
in the documentation: ``docs/figures/shop-tubes.png`` and ``shop-orders.png``.
"""

from __future__ import annotations

import os
import shutil
import socket
from contextlib import contextmanager
from pathlib import Path
from threading import Thread
from typing import TYPE_CHECKING

import pytest
import uvicorn
from selenium.webdriver import Chrome, ChromeOptions, ChromeService
from selenium.webdriver.common.by import By
from selenium.webdriver.common.keys import Keys
from selenium.webdriver.support.ui import WebDriverWait
from starlette.applications import Starlette
from starlette.responses import HTMLResponse
from starlette.routing import Mount, Route

from inproc_tubes import Broker
from inproc_tubes.dashboard import app
from inproc_tubes.testing import FakeClock
from tests.threads import LONG

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from starlette.requests import Request
    from starlette.responses import Response

BROWSER, DRIVER = shutil.which("chromium"), shutil.which("chromedriver")

pytestmark = [
    pytest.mark.real,
    pytest.mark.skipif(
        BROWSER is None or DRIVER is None,
        reason="no chromium, or no chromedriver: apt-get install chromium-driver",
    ),
]

HOSTILE = "<script>document.title = 'pwned'</script><img src=x onerror=alert(1)>"


@pytest.fixture
def broker() -> Iterator[Broker]:
    """Make a broker with something of everything."""
    with Broker() as broker:
        shop = broker.producer("orders", name="shop")
        shop.put_many(["scarf", "anvil", HOSTILE, {"piano": 2}])
        shop.put("drum", delay=3600)
        packer = broker.consumer("orders", name=f"packer {HOSTILE}")
        packer.reserve().bury(error=ValueError(f"torn {HOSTILE}"))
        packer.reserve()
        broker.producer("emails").put_many(["a", "b"])
        yield broker


def plain(_request: Request) -> Response:
    """Show a page that may be framed."""
    return HTMLResponse("<form>plain</form>")


def frames(request: Request) -> Response:
    """Frame two pages of a server that has another name than this one."""
    there = f"http://127.0.0.1:{request.url.port}"
    return HTMLResponse(
        f"<iframe src='{there}/plain'></iframe>"
        f"<iframe src='{there}/ops/tubes/tube?name=orders'></iframe>"
    )


@contextmanager
def served(broker: Broker) -> Iterator[str]:
    """Serve the page, as users do, and tell its address."""
    server = uvicorn.Server(
        uvicorn.Config(
            Starlette(
                routes=[
                    Mount("/ops/tubes", app(broker, actions=True)),
                    Route("/plain", plain),
                    Route("/frames", frames),
                ]
            ),
            http="h11",
            loop="asyncio",
            ws="none",
            lifespan="off",
            log_level="error",
        )
    )
    with socket.create_server(("127.0.0.1", 0)) as listener:
        port = listener.getsockname()[1]
        thread = Thread(target=server.run, kwargs={"sockets": [listener]})
        thread.start()
        try:
            yield f"http://127.0.0.1:{port}/ops/tubes"
        finally:
            server.should_exit = True
            thread.join(LONG)


@contextmanager
def browsing(
    folder: Path, *, scripts: bool = True, dark: bool = False
) -> Iterator[Chrome]:
    """Start a browser."""
    options = ChromeOptions()
    options.binary_location = str(BROWSER)
    for argument in (
        "--headless=new",
        "--no-sandbox",  # which root, in a container, cannot have
        "--disable-dev-shm-usage",
        "--window-size=1280,900",
        f"--user-data-dir={folder}",
    ):
        options.add_argument(argument)
    options.set_capability("goog:loggingPrefs", {"browser": "ALL"})
    if not scripts:
        off = {"profile.managed_default_content_settings.javascript": 2}
        options.add_experimental_option("prefs", off)
    browser = Chrome(options=options, service=ChromeService(DRIVER))
    try:
        scheme = {"name": "prefers-color-scheme", "value": "dark" if dark else "light"}
        browser.execute_cdp_cmd("Emulation.setEmulatedMedia", {"features": [scheme]})
        yield browser
    finally:
        browser.quit()


def keep_picture(browser: Chrome, folder: Path, name: str) -> None:
    """Make a screenshot, for the documentation."""
    folder = Path(os.environ.get("INPROC_TUBES_SCREENSHOTS", folder))
    assert browser.save_screenshot(str(folder / name))


def wait(browser: Chrome, done: Callable[[Chrome], bool]) -> None:
    """Wait until something is on the page."""
    WebDriverWait(browser, LONG, poll_frequency=0.05).until(done)


def focused(browser: Chrome) -> str:
    """Tell what has the focus."""
    return browser.switch_to.active_element.text


def tab_to(browser: Chrome, text: str) -> None:
    """Press Tab until this has the focus."""

    def is_there(page: Chrome) -> bool:
        if focused(page) == text:
            return True
        page.switch_to.active_element.send_keys(Keys.TAB)
        return False

    wait(browser, is_there)


def refused(browser: Chrome) -> list[object]:
    """Tell what the browser has complained about."""
    return list(browser.get_log("browser"))  # type: ignore[no-untyped-call]  # as it is


@pytest.mark.parametrize("dark", [False, True], ids=["light", "dark"])
def test_the_page_is_shown_and_updates_itself(
    broker: Broker, tmp_path: Path, *, dark: bool
) -> None:
    name = "dark" if dark else "light"
    with served(broker) as url, browsing(tmp_path / "profile", dark=dark) as browser:
        browser.get(url)  # without the slash at its end
        assert browser.title == "Tubes - inproc_tubes"
        keep_picture(browser, tmp_path, f"dashboard-{name}.png")
        tab_to(browser, "emails")
        broker.producer("parcels").put("new")
        wait(browser, lambda page: bool(page.find_elements(By.LINK_TEXT, "parcels")))
        assert focused(browser) == "emails"  # it is where it was
        browser.find_element(By.LINK_TEXT, "orders").click()
        wait(browser, lambda page: page.title.startswith("Tube orders"))
        keep_picture(browser, tmp_path, f"dashboard-tube-{name}.png")
        assert HOSTILE in browser.find_element(By.TAG_NAME, "main").text
        assert not browser.find_elements(By.TAG_NAME, "img")
        # A message of the policy would be here, and a script that has failed.
        assert refused(browser) == []


def test_a_shop_is_shown_as_in_the_documentation(tmp_path: Path) -> None:
    clock = FakeClock()
    with (
        Broker(clock=clock) as broker,
        served(broker) as url,
        browsing(tmp_path / "profile") as browser,
    ):
        orders = broker.producer("orders", name="shop")
        emails = broker.producer("emails", name="mailer")
        packer = broker.consumer("orders", name="packer-1")
        clerk = broker.consumer("emails", name="clerk")
        orders.put_many(["anvil", {"item": "piano", "to": "Ann"}, "scarf", "vase"])
        orders.put("voucher", priority=0, delay=3600)
        browser.get(url)  # from here on there are rates
        packer.reserve().bury(error=ValueError("too heavy"))
        packer.reserve()
        packer.reserve().delete()
        emails.put_many(["the scarf is on its way", "we have new pianos"])
        clock.advance(10)
        assert clerk.reserve().body == "the scarf is on its way"
        browser.set_window_size(1280, 980)
        browser.get(url)
        shown = browser.find_element(By.TAG_NAME, "main").text
        assert "packer-1 orders 10" in shown
        assert "clerk consumer emails" in shown
        keep_picture(browser, tmp_path, "shop-tubes.png")
        browser.find_element(By.LINK_TEXT, "orders").click()
        wait(browser, lambda page: page.title.startswith("Tube orders"))
        assert "too heavy" in browser.find_element(By.TAG_NAME, "main").text
        keep_picture(browser, tmp_path, "shop-orders.png")


def test_all_is_done_by_the_keyboard_and_without_scripts(
    broker: Broker, tmp_path: Path
) -> None:
    with (
        served(broker) as url,
        browsing(tmp_path / "profile", scripts=False) as browser,
    ):
        browser.get(url)
        assert not browser.find_element(By.ID, "live").is_displayed()
        tab_to(browser, "orders")
        browser.switch_to.active_element.send_keys(Keys.ENTER)
        wait(browser, lambda page: page.title.startswith("Tube orders"))
        tab_to(browser, "Kick")
        browser.switch_to.active_element.send_keys(Keys.ENTER)
        wait(browser, lambda page: "Buried" not in page.page_source)
        assert broker.stats_tube("orders").current_jobs_buried == 0
        tab_to(browser, "Clear...")
        browser.switch_to.active_element.send_keys(Keys.ENTER)
        tab_to(browser, "Delete them for good")
        browser.switch_to.active_element.send_keys(Keys.ENTER)
        # Nothing was buried any more, and that is what is chosen at first.
        wait(browser, lambda page: page.title.startswith("Tube orders"))
        assert broker.stats_tube("orders").current_jobs_ready == 3


def test_a_page_of_another_site_cannot_frame_it(broker: Broker, tmp_path: Path) -> None:
    with served(broker) as url, browsing(tmp_path / "profile") as browser:
        # Another name is another site.
        server = url.removesuffix("/ops/tubes").replace("127.0.0.1", "localhost")
        browser.get(f"{server}/frames")
        forms = []
        for number in (0, 1):
            browser.switch_to.frame(number)
            forms.append(len(browser.find_elements(By.TAG_NAME, "form")))
            browser.switch_to.default_content()
        assert forms == [1, 0]


def test_a_form_of_another_site_does_nothing(broker: Broker, tmp_path: Path) -> None:
    with served(broker) as url, browsing(tmp_path / "profile") as browser:
        browser.get(f"{url}/job?id=1")
        token = browser.find_element(By.NAME, "token").get_attribute("value")
        # It has even got the token.
        browser.get(
            "data:text/html,"
            f"<form method=post action='{url}/act'><input name=token value={token}>"
            "<input name=action value=delete><input name=job value=1>"
            "<button>win</button></form>"
        )
        browser.find_element(By.TAG_NAME, "button").click()
        wait(browser, lambda page: page.title.startswith("Refused"))
        assert broker.peek(1).body == "scarf"
