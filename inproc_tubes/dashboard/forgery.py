"""What tells a form of ours from one of another site.

Each browser gets a random cookie, and each form a token that only this application can
make for that cookie: its HMAC. Another site can neither read the one nor make the other.
"""

from __future__ import annotations

import hmac
import re
import secrets
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from starlette.requests import Request
    from starlette.responses import Response

__all__ = ["Forgery"]

_VISITOR = re.compile(r"[0-9a-f]{32}")


class Forgery:
    """The protection of one application against forged requests."""

    def __init__(self) -> None:
        self._secret = secrets.token_bytes(32)
        # Of its own: there may be several on one host.
        self._cookie = f"inproc_tubes_{secrets.token_hex(4)}"

    def visitor_of(self, request: Request) -> str:
        """Return who asks: what the cookie says, or else somebody new."""
        visitor = request.cookies.get(self._cookie, "")
        return visitor if _VISITOR.fullmatch(visitor) else secrets.token_hex(16)

    def token_for(self, visitor: str) -> str:
        """Return what is to stand in the forms for a visitor."""
        return hmac.digest(self._secret, visitor.encode(), "sha256").hex()

    def remember(self, request: Request, response: Response, visitor: str) -> None:
        """Send the cookie."""
        response.set_cookie(
            self._cookie,
            visitor,
            # None: the folder of this page, wherever the server has it.
            path=None,
            secure=request.url.scheme == "https",
            httponly=True,
            samesite="strict",
        )

    def allows(self, request: Request, token: str) -> bool:
        """Tell whether a form that is sent with this token is one of ours."""
        # Browsers tell, and pages cannot pretend. Who tells nothing is no browser.
        if request.headers.get("sec-fetch-site", "same-origin") != "same-origin":
            return False
        visitor = request.cookies.get(self._cookie, "")
        expected = self.token_for(visitor).encode()
        return hmac.compare_digest(expected, token.encode("utf-8", "replace"))
