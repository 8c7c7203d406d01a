"""One HTTP call to an endpoint; nothing is retried, paced or stored here.

Here belong the session, time-outs, sizes and the translation of network errors into the error tree.
Retries, limits and the store are around it (`collect/collector.py`).
"""

import base64
import contextlib
import ssl
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any, Final, Self
from urllib.parse import quote, urlsplit

import orjson
import requests
import urllib3

from backlinks_assets.dataforseo.answer import Answer, parse_answer
from backlinks_assets.dataforseo.deadline import Deadline, adapter
from backlinks_assets.dataforseo.endpoint import Endpoint, ParsedT, RequestT, UnusableError
from backlinks_assets.dataforseo.errors import AccountError, ApiError, RequestError, TargetError, TransientError
from backlinks_assets.dataforseo.status_codes import error_of

CONNECT_TIMEOUT_S: Final = 10.0
READ_TIMEOUT_S: Final = 120.0
"""The vendor's own limit on a Live call; waiting less could abandon an answer that is paid for."""
FREE_TIMEOUT_S: Final = 15.0
"""For the account's own data and lists: nothing is paid for, so nothing is lost by giving up."""
MAX_BYTES: Final = 64 * 1024 * 1024
"""A summary with every list full has some 200 kB, so what is larger than this is not an answer of the API."""
MAX_BYTES_UNREAD: Final = 1024 * 1024
"""The part that is stored of an answer that could not be read."""
SIMULATOR_HEADER: Final = "X-Backlinks-Simulator"

_CHUNK_BYTES: Final = 64 * 1024


def max_seconds(read_timeout_s: float) -> float:
    """Return the deadline for a whole answer, 130 s for 120 s: one that trickles in never times out by itself."""
    return read_timeout_s * 13 / 12


@dataclass(slots=True)
class _Came:
    """The part of an answer that has come, which is stored if the rest does not come or could not be read."""

    http_status: int = 0
    simulated: bool = False
    body: bytearray = field(default_factory=bytearray)

    def unread(self) -> Answer | None:
        if not self.body:
            return None
        return Answer(bytes(self.body[:MAX_BYTES_UNREAD]), self.http_status, simulated=self.simulated)


class Client:
    """A pooled session that makes one call at a time to any endpoint, with one task. Thread-safe.

    The password is in no `repr`, message or URL. With `is_real`, answers of the bundled simulator are refused.
    """

    def __init__(
        self,
        base_url: str,
        login: str | None = None,
        password: str | None = None,
        *,
        is_real: bool = False,
        connections: int = 30,
        read_timeout_s: float = READ_TIMEOUT_S,
        total_timeout_s: float | None = None,
    ) -> None:
        self.base_url = base_url.rstrip("/")
        self._is_real = is_real
        self._read_timeout_s = read_timeout_s
        self._total_timeout_s = total_timeout_s or max_seconds(read_timeout_s)
        self._session = requests.Session()
        # No proxy or .netrc of the machine may see or replace the credentials on plain HTTP.
        self._session.trust_env = urlsplit(self.base_url).scheme == "https"
        for scheme in ("https://", "http://"):
            self._session.mount(scheme, adapter(connections))
        self._templates: dict[str, tuple[requests.PreparedRequest, Mapping[str, Any]]] = {}
        pair = f"{login or 'simulator'}:{password or 'simulator'}".encode()
        self._authorization = "Basic " + base64.b64encode(pair).decode()
        encoded = self._authorization.removeprefix("Basic ")
        self._secrets = (password, quote(password, safe=""), encoded) if password else ()

    def __repr__(self) -> str:
        return f"Client({self.base_url!r})"

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def close(self) -> None:
        self._session.close()

    def send(self, endpoint: Endpoint[RequestT, ParsedT], request: RequestT) -> ParsedT:
        """Make the call once and return what the endpoint makes of its good answer.

        Raises:
            ApiError: one of its four kinds; `answer` is what came, if anything: it may have been charged.
        """
        answer = self._call(endpoint, request)
        try:
            if (error := error_of(answer, endpoint.target_fields)) is None:
                return endpoint.parse(answer, request)
        except UnusableError as error:
            kind = TargetError if endpoint.rows else TransientError
            raise kind(f"the answer can't be used: {self._clean(str(error))}", answer=answer) from None
        except Exception as error:  # noqa: BLE001 - our own bug must not lose a paid answer
            raise self._not_parsed(error, answer) from None
        error.message = self._clean(error.message)  # the vendor's text could repeat the password
        error.args = (error.message,)
        raise error

    def _prepared(self, endpoint: Endpoint[Any, Any]) -> tuple[requests.PreparedRequest, Mapping[str, Any]]:
        """Return an endpoint's request without a body, and its proxies and certificates; made once."""
        if endpoint.path not in self._templates:
            headers = {"Content-Type": "application/json", "Authorization": self._authorization}
            request = requests.Request(
                "POST" if endpoint.task else "GET",
                self.base_url + endpoint.path,
                headers=headers,
                auth=lambda unchanged: unchanged,  # so that no .netrc replaces the credentials
            )
            template = self._session.prepare_request(request)
            found = self._session.merge_environment_settings(template.url, {}, True, None, None)
            self._templates[endpoint.path] = template, dict(found)
        template, settings = self._templates[endpoint.path]
        return template.copy(), settings

    def _call(self, endpoint: Endpoint[RequestT, Any], request: RequestT) -> Answer:
        """Return the answer. An error has as much of the answer as came."""
        came = _Came()
        try:
            return self._exchange(endpoint, request, came)
        except ApiError as error:
            error.answer = error.answer or came.unread()
            raise
        except Exception as error:
            if (unread := came.unread()) is None:
                raise
            raise self._not_parsed(error, unread) from None

    def _exchange(self, endpoint: Endpoint[RequestT, Any], request: RequestT, came: "_Came") -> Answer:
        timeout_s = self._read_timeout_s if endpoint.rows else min(FREE_TIMEOUT_S, self._read_timeout_s)
        deadline = Deadline(self._total_timeout_s)
        try:
            prepared, settings = self._prepared(endpoint)
            prepared.prepare_body(orjson.dumps([endpoint.task(request)]) if endpoint.task else None, None)
            with (
                deadline,
                self._session.send(
                    prepared,
                    **settings,
                    timeout=(CONNECT_TIMEOUT_S, timeout_s),
                    allow_redirects=False,  # credentials follow no redirect
                ) as response,
            ):
                return self._read(response, deadline, came)
        except (requests.exceptions.RequestException, urllib3.exceptions.HTTPError, UnicodeError) as error:
            raise (self._incomplete() if deadline.has_passed else self._broken(error, timeout_s)) from None

    def _broken(self, error: Exception, timeout_s: float) -> RequestError | TransientError:
        match error:
            case requests.exceptions.SSLError():
                return self._no_tls(error)
            case requests.exceptions.ConnectTimeout():
                return TransientError(f"{self._host()} could not be reached within {CONNECT_TIMEOUT_S:.0f} s")
            case requests.exceptions.ReadTimeout():
                return TransientError(f"no answer within {timeout_s:g} s", may_go_on=True)
            case requests.exceptions.InvalidURL() | requests.exceptions.InvalidSchema() | UnicodeError():
                return RequestError(f"DATAFORSEO_BASE_URL ({self.base_url}) is not a usable address")
        timed_out = "timed out" in str(error)
        return TransientError(f"the connection to {self._host()} failed ({self._cause(error)})", may_go_on=timed_out)

    def _read(self, response: requests.Response, deadline: Deadline, came: "_Came") -> Answer:
        came.http_status, body = response.status_code, came.body
        came.simulated = SIMULATOR_HEADER in response.headers
        if came.simulated and self._is_real:
            raise RequestError(
                "the bundled simulator answered where the real API was expected: nothing of it is stored. Add /simulator "
                "to DATAFORSEO_BASE_URL, or unset it",
                answer=Answer(b"", came.http_status, cost_usd=0.0, simulated=True),
            )
        retry_after = _retry_after_s(response.headers.get("Retry-After"))
        # read1 returns what has come, so that it is there when the deadline cuts the connection.
        while chunk := response.raw.read1(_CHUNK_BYTES, decode_content=True):
            body += chunk
            if len(body) > MAX_BYTES:
                raise TargetError(f"the answer is larger than {MAX_BYTES >> 20} MiB and was not read to its end")
        status = response.status_code
        if 300 <= status < 400:
            raise RequestError(
                f"{self._host()} answers with a redirect (HTTP {status}), which is not followed: the credentials are "
                "for this host only. Check DATAFORSEO_BASE_URL"
            )
        try:
            answer = parse_answer(bytes(body), status, simulated=came.simulated)
        except ValueError:
            if deadline.has_passed:
                raise self._incomplete() from None
            raise self._not_json(status, retry_after) from None
        if status == 429 or status >= 500:
            raise TransientError(f"{self._host()} answers with HTTP {status}", answer=answer, retry_after_s=retry_after)
        return answer

    def _incomplete(self) -> TransientError:
        return TransientError(f"the answer was not complete after {self._total_timeout_s:.3g} s", may_go_on=True)

    def _not_parsed(self, error: Exception, answer: Answer) -> RequestError:
        said = self._clean(f"{type(error).__name__}: {error}"[:200])
        return RequestError(f"the answer could not be parsed, which is a fault of this program ({said})", answer=answer)

    def _no_tls(self, error: Exception) -> RequestError | TransientError:
        """An untrusted certificate stays untrusted; a connection that broke in the handshake may work again."""
        cause = self._cause(error)
        if isinstance(_innermost(error), ssl.SSLCertVerificationError) or "certificate" in cause.lower():
            return RequestError(
                f"the certificate of {self._host()} could not be trusted ({cause}), so nothing was sent. Check "
                "DATAFORSEO_BASE_URL and this machine's certificates"
            )
        return TransientError(f"the connection to {self._host()} failed ({cause})")

    def _not_json(self, status: int, retry_after_s: float | None) -> AccountError | RequestError | TransientError:
        said = f"{self._host()} answers with HTTP {status} and no JSON"
        if status in {401, 402, 403}:
            return AccountError(f"{said}: it refuses the account. Check the credentials and the balance.")
        if status == 404:
            return RequestError(f"{said}: DATAFORSEO_BASE_URL ({self.base_url}) seems not to be the API's")
        return TransientError(said, retry_after_s=retry_after_s)

    def _host(self) -> str:
        return urlsplit(self.base_url).netloc

    def _cause(self, error: Exception) -> str:
        """Return the innermost error's kind and text, shortened and without the password."""
        inner = _innermost(error)
        return self._clean(f"{type(inner).__name__}: {inner}"[:200])

    def _clean(self, text: str) -> str:
        """Return a foreign text as one printable line without the password in any form."""
        for secret in self._secrets:
            text = text.replace(secret, "***")
        return "".join(character if character.isprintable() else " " for character in text)


def _innermost(error: BaseException) -> BaseException:
    while (inner := error.__cause__ or error.__context__) is not None:
        error = inner
    return error


def _retry_after_s(header: str | None) -> float | None:
    """Return the seconds of a Retry-After header: a number, or a date (RFC 9110, 10.2.3)."""
    with contextlib.suppress(urllib3.exceptions.InvalidHeader):
        return urllib3.Retry().parse_retry_after(header) if header else None
    return None
