"""Around every answer: the rules are checked before it, and the headers that protect a page are set on it."""

from typing import Final

from starlette.datastructures import MutableHeaders
from starlette.requests import Request
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from backlinks_assets.serve.pages import message_page
from backlinks_assets.serve.rules import RefusedError, Rules

OWN_PAGE: Final = (
    "default-src 'none'; style-src 'unsafe-inline'; base-uri 'none'; form-action 'self'; frame-ancestors 'none'"
)
REPORT: Final = "object-src 'none'; connect-src 'none'; base-uri 'none'; form-action 'self'; frame-ancestors 'none'"
"""A report's own policy, in its head, says the rest: one of them has a script, by its hash."""

HEADERS: Final = {
    "X-Frame-Options": "DENY",
    "X-Content-Type-Options": "nosniff",
    "Cache-Control": "no-store",
    # With `no-referrer` a browser would not say where a form comes from.
    "Referrer-Policy": "same-origin",
    "Cross-Origin-Resource-Policy": "same-origin",
    "Content-Security-Policy": OWN_PAGE,
}


class Guard:
    """An application that answers as another one does, within the rules."""

    def __init__(self, app: ASGIApp, rules: Rules) -> None:
        self._app, self._rules = app, rules

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Answer a request."""

        async def send_protected(message: Message) -> None:
            if message["type"] == "http.response.start":
                headers = MutableHeaders(scope=message)
                for name, value in HEADERS.items():
                    headers.setdefault(name, value)
            await send(message)

        app = self._app
        try:
            self._rules.check(Request(scope))
        except RefusedError as refused:
            app = message_page(refused.status, "This was refused", str(refused))
        await app(scope, receive, send_protected)
