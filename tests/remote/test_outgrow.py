"""The example, on a real beanstalkd, in two processes."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

from inproc_tubes import make_broker
from tests.threads import LONG

if TYPE_CHECKING:
    from tests.remote.shared import Beanstalkd

pytestmark = pytest.mark.real

OUTGROW = Path(__file__).parents[2] / "examples" / "outgrow.py"


@pytest.mark.skipif(sys.platform == "win32", reason="Windows has no SIGTERM to send")
def test_a_shop_and_a_packer_are_two_processes(beanstalkd: Beanstalkd) -> None:
    environment = os.environ | {"BROKER_URL": beanstalkd.url}
    command = [sys.executable, "-W", "error", str(OUTGROW)]

    def begin(role: str) -> subprocess.Popen[str]:
        return subprocess.Popen(  # noqa: S603 - our own example
            [*command, role], env=environment, stdout=subprocess.PIPE, text=True
        )

    with begin("shop") as shop, make_broker(beanstalkd.url) as broker:
        assert "the shop has put 3 orders\n" == shop.communicate(timeout=LONG)[0]
        with begin("packer") as packer:
            assert 0 == broker.join("orders", timeout=LONG)
            packer.send_signal(signal.SIGTERM)
            lines = packer.communicate(timeout=LONG)[0].splitlines()
    assert 0 == packer.returncode
    assert {"packed scarf", "packed piano", "packed vase"} < set(lines)
