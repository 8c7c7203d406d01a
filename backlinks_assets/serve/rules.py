"""Which requests are answered: the server's own names, forms of its own pages, and who a proxy says is there.

Without cookies there is nothing that another site's page could make a browser send along. What it could do is post a form to
this address or, by a name of its own that leads here, read a page: the origin and the name asked for are looked at.
"""

import secrets
from dataclasses import dataclass, field
from urllib.parse import urlsplit

from starlette.requests import Request

from backlinks_assets.settings import Settings

LOOPBACK_NAMES = ("127.0.0.1", "localhost", "[::1]")
_READ, _POST = ("GET", "HEAD"), "POST"


class RefusedError(Exception):
    """A request that is not answered as it stands: its status, and a sentence that says what to do."""

    def __init__(self, status: int, sentence: str) -> None:
        super().__init__(sentence)
        self.status = status


@dataclass(frozen=True, slots=True)
class Rules:
    """What a request must have. `hosts` are values of `Host`, `origins` of `Origin`, both in lower case."""

    hosts: frozenset[str]
    origins: frozenset[str]
    user_header: str | None = None
    token: str = field(default_factory=lambda: secrets.token_urlsafe(32), repr=False)

    @classmethod
    def of(cls, settings: Settings, host: str, port: int) -> "Rules":
        """Return the rules of a server on a host and port, and of the proxy before it where the settings name one."""
        names = {*LOOPBACK_NAMES, f"[{host}]" if ":" in host else host.lower()}
        hosts = {f"{name}:{port}" for name in names} | (names if port == 80 else set())
        origins = {f"http://{name}" for name in hosts}
        if settings.serve_user_header and settings.reports_url:
            parts = urlsplit(settings.reports_url.lower())
            usual = {"http": ":80", "https": ":443"}[parts.scheme]
            hosts.add(parts.netloc.removesuffix(usual))
            origins.add(f"{parts.scheme}://{parts.netloc.removesuffix(usual)}")
        return cls(frozenset(hosts), frozenset(origins), settings.serve_user_header)

    def check(self, request: Request) -> None:
        """Raise RefusedError for a request that is not one of this server's pages, or not one of the proxy's."""
        asked = [host.lower() for host in request.headers.getlist("host")]
        if len(asked) != 1 or asked[0] not in self.hosts:
            raise RefusedError(
                421,
                "This server goes by another name. Open it by the address that `backlinks serve` printed; behind a proxy, set "
                "BACKLINKS_REPORTS_URL to the address that people type.",
            )
        self.user(request)
        if request.method == _POST:
            self._check_origin(request)
        elif request.method not in _READ:
            raise RefusedError(405, "Pages are read here, and the forms on them are sent. There is nothing else to do.")

    def _check_origin(self, request: Request) -> None:
        """Raise RefusedError for a form of another site's page. A browser says where a form comes from in one of two headers."""
        origin, site = request.headers.get("origin"), request.headers.get("sec-fetch-site")
        said = origin is not None or site is not None
        if not said or site not in {None, "same-origin"} or (origin is not None and origin.lower() not in self.origins):
            raise RefusedError(
                403,
                "This was sent from another page than one of this server's. Nothing was written. Press the button on a page "
                "that this server shows; behind a proxy, set BACKLINKS_REPORTS_URL to the address that people type.",
            )

    def user(self, request: Request) -> str | None:
        """Return whom the proxy names; None where there is none. Raises RefusedError where it names nobody, or several."""
        if self.user_header is None:
            return None
        named = [self._text(value) for value in request.headers.getlist(self.user_header)]
        if len(named) != 1 or not named[0]:
            raise RefusedError(
                403,
                f"The header {self.user_header}, which names who is there, is {'missing' if not named else 'not one name'}. Open "
                "this page through the proxy; it must set the header itself and take away one that it was sent.",
            )
        return named[0]

    @staticmethod
    def _text(value: str) -> str:
        try:
            return value.encode("latin-1").decode("utf-8").strip()
        except UnicodeDecodeError:
            return value.strip()

    def check_token(self, token: str) -> None:
        """Raise RefusedError for a form that is not one of this server's since its start."""
        if not secrets.compare_digest(token.encode(), self.token.encode()):
            raise RefusedError(
                403,
                "The server was started again since this page was shown. Nothing was written. Load the page again first.",
            )
