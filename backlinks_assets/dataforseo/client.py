"""One HTTP call to the endpoint and its reading; nothing is retried, paced or kept here.

Here belong the session, time-outs, sizes and the translation of what goes wrong on the wire into the error tree.
Retries, limits and the store are around it (`collect/collector.py`).
"""

import base64
import contextlib
import ssl
import time
from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import UTC, datetime
from email.utils import parsedate_to_datetime
from types import TracebackType
from typing import Any, Final, Self
from urllib.parse import quote, urlsplit

import orjson
import requests
import urllib3

from backlinks_assets.dataforseo.deadline import DeadlineAdapter
from backlinks_assets.dataforseo.endpoints.id_list import ID_LIST_PATH, ListedTask, id_list_request, listed_tasks
from backlinks_assets.dataforseo.endpoints.summary import SummaryAnswer, SummaryRequest, parse_answer
from backlinks_assets.dataforseo.errors import AccountError, ApiError, RequestError, TargetError, TransientError
from backlinks_assets.dataforseo.match import mismatch
from backlinks_assets.dataforseo.status_codes import error_of

SUMMARY_PATH: Final = "/v3/backlinks/summary/live"
INDEX_PATH: Final = "/v3/backlinks/index"
USER_DATA_PATH: Final = "/v3/appendix/user_data"
CONNECT_TIMEOUT_S: Final = 10.0
READ_TIMEOUT_S: Final = 120.0
"""The vendor's own limit on a Live call; waiting less could abandon an answer that is paid for."""
FREE_TIMEOUT_S: Final = 15.0
"""For the account's own data and lists: nothing is paid for, so nothing is lost by giving up."""
MOST_BYTES: Final = 64 * 1024 * 1024
"""A summary with every list full is some 200 kB; what is larger than this is no summary."""
MOST_BYTES_UNREAD: Final = 1024 * 1024
"""So much is handed on of what could not be read."""
SIMULATOR_HEADER: Final = "X-Backlinks-Simulator"

_CHUNK_BYTES: Final = 64 * 1024


def most_seconds(read_timeout_s: float) -> float:
    """Return by when a whole answer must be here (130 s for 120 s): what trickles in never times out by itself."""
    return read_timeout_s * 13 / 12


@dataclass(slots=True)
class _Came:
    """What has come of an answer so far, to be kept should the rest never come or not be readable."""

    http_status: int = 0
    simulated: bool = False
    body: bytearray = field(default_factory=bytearray)

    def unread(self) -> SummaryAnswer | None:
        if not self.body:
            return None
        return SummaryAnswer(bytes(self.body[:MOST_BYTES_UNREAD]), self.http_status, simulated=self.simulated)


class SummaryClient:
    """A pooled session that asks `POST /v3/backlinks/summary/live` with one task a call. Thread-safe.

    The password is kept in the session's header only: it is in no `repr`, message or URL.
    """

    def __init__(
        self,
        base_url: str,
        login: str | None = None,
        password: str | None = None,
        *,
        connections: int = 30,
        read_timeout_s: float = READ_TIMEOUT_S,
        total_timeout_s: float | None = None,
    ) -> None:
        self.base_url = base_url.rstrip("/")
        self._read_timeout_s = read_timeout_s
        self._total_timeout_s = total_timeout_s or most_seconds(read_timeout_s)
        self._session = requests.Session()
        # A proxy or a .netrc of the machine must not come between us and the credentials we were given.
        self._session.trust_env = urlsplit(self.base_url).scheme == "https"
        self._templates: dict[tuple[str, str], tuple[requests.PreparedRequest, Mapping[str, Any]]] = {}
        adapter = DeadlineAdapter(self._total_timeout_s, connections)
        self._session.mount("https://", adapter)
        self._session.mount("http://", adapter)
        pair = f"{login or 'simulator'}:{password or 'simulator'}".encode()
        self._authorization = "Basic " + base64.b64encode(pair).decode()
        encoded = self._authorization.removeprefix("Basic ")
        self._secrets = (password, quote(password, safe=""), encoded) if password else ()

    def __repr__(self) -> str:
        return f"SummaryClient({self.base_url!r})"

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()

    def close(self) -> None:
        self._session.close()

    def ask(self, request: SummaryRequest) -> SummaryAnswer:
        """Make the call once and return its good answer; `result` is None where the API knows nothing.

        Raises:
            ApiError: one of its four kinds; `answer` is what came, if anything did: it may have been charged.
        """
        answer = self._send("POST", SUMMARY_PATH, orjson.dumps([request.task()]))
        try:
            self._raise_refusal(answer)
            wrong = mismatch(answer, request)
        except ApiError:
            raise
        except Exception as error:  # noqa: BLE001 - a fault of ours must not lose what was paid for
            raise self._not_judged(error, answer) from None
        if wrong is not None:
            raise TargetError(f"the answer can't be used: {self._clean(wrong)}", answer=answer)
        return answer

    def user_data(self) -> dict[str, Any]:
        """Return the account's own data (login, balance, limits, prices): a free call, six a minute.

        Raises:
            ApiError: as `ask`; the result is an empty dictionary where the answer holds none.
        """
        answer = self._send("GET", USER_DATA_PATH, None)
        self._raise_refusal(answer)
        return answer.result or {}

    def check_access(self) -> None:
        """Ask the Backlinks API's free index page: unlike `user_data` it refuses an account that may make no calls.

        Raises:
            ApiError: as `ask`; for an account that is not verified, or a machine that is not on its list, too.
        """
        error = error_of(self._send("GET", INDEX_PATH, None))
        if error is not None:
            raise error

    def tasks_between(self, first: datetime, last: datetime, offset: int = 0) -> list[ListedTask]:
        """Return the vendor's own list of tasks posted between two instants, 1000 at most: a free call.

        Raises:
            ApiError: as `ask`.
        """
        body = id_list_request(first, last, offset)
        answer = self._send("POST", ID_LIST_PATH, body, timeout_s=min(FREE_TIMEOUT_S, self._read_timeout_s))
        self._raise_refusal(answer)
        try:
            return listed_tasks(answer.body)
        except ValueError as error:
            raise TransientError(f"the vendor's list of tasks could not be read: {error}", answer=answer) from None

    def _raise_refusal(self, answer: SummaryAnswer) -> None:
        error = error_of(answer)
        if error is not None:
            error.message = self._clean(error.message)  # the vendor's words are in it, and could repeat ours
            error.args = (error.message,)
            raise error

    def _signed(self, request: requests.PreparedRequest) -> requests.PreparedRequest:
        """Put the credentials into a request. Given as `auth`, so that no .netrc takes their place."""
        request.headers["Authorization"] = self._authorization
        return request

    def _prepared(self, method: str, path: str) -> tuple[requests.PreparedRequest, Mapping[str, Any]]:
        """Return a request without its body, and what proxies and certificates it takes: made once for each address."""
        if (method, path) not in self._templates:
            headers = {"Content-Type": "application/json"}
            request = requests.Request(method, self.base_url + path, headers=headers, auth=self._signed)
            template = self._session.prepare_request(request)
            kept = self._session.merge_environment_settings(template.url, {}, True, None, None)
            self._templates[method, path] = template, dict(kept)
        template, settings = self._templates[method, path]
        return template.copy(), settings

    def _send(self, method: str, path: str, body: bytes | None, timeout_s: float | None = None) -> SummaryAnswer:
        """Return what came, read. Whatever goes wrong, as much of the answer as came goes with the error."""
        came = _Came()
        try:
            return self._exchange(method, path, body, timeout_s, came)
        except ApiError as error:
            error.answer = error.answer or came.unread()
            raise
        except Exception as error:
            if (unread := came.unread()) is None:
                raise
            raise self._not_judged(error, unread) from None

    def _exchange(
        self, method: str, path: str, body: bytes | None, timeout_s: float | None, came: "_Came"
    ) -> SummaryAnswer:
        started = time.monotonic()
        timeout_s = timeout_s or self._read_timeout_s
        try:
            request, settings = self._prepared(method, path)
            request.prepare_body(body, None)
            with self._session.send(
                request,
                **settings,
                timeout=(CONNECT_TIMEOUT_S, timeout_s),
                allow_redirects=False,  # credentials follow no redirect
            ) as response:
                return self._read(response, started, came)
        except requests.exceptions.SSLError as error:
            raise self._no_tls(error) from None
        except requests.exceptions.ConnectTimeout:
            raise TransientError(f"{self._host()} could not be reached within {CONNECT_TIMEOUT_S:.0f} s") from None
        except requests.exceptions.ReadTimeout:
            raise TransientError(f"no answer within {timeout_s:g} s", may_go_on=True) from None
        except (requests.exceptions.InvalidURL, requests.exceptions.InvalidSchema, UnicodeError):
            raise RequestError(f"DATAFORSEO_BASE_URL ({self.base_url}) is no usable address") from None
        except (requests.exceptions.RequestException, urllib3.exceptions.HTTPError) as error:
            if time.monotonic() - started >= self._total_timeout_s:  # cut by `deadline.py`
                raise self._incomplete() from None
            timed_out = "timed out" in str(error)
            raise TransientError(
                f"the connection to {self._host()} failed ({self._cause(error)})", may_go_on=timed_out
            ) from None

    def _read(self, response: requests.Response, started: float, came: "_Came") -> SummaryAnswer:
        came.http_status, body = response.status_code, came.body
        came.simulated = SIMULATOR_HEADER in response.headers
        retry_after = _retry_after_s(response.headers.get("Retry-After"))
        # read1 hands over what has come, so that the total time-out is looked at between trickling bytes.
        while chunk := response.raw.read1(_CHUNK_BYTES, decode_content=True):
            body += chunk
            if len(body) > MOST_BYTES:
                raise TargetError(f"the answer is larger than {MOST_BYTES >> 20} MiB and was not read to its end")
            if time.monotonic() - started > self._total_timeout_s:
                raise self._incomplete()
        status = response.status_code
        if 300 <= status < 400:
            raise RequestError(
                f"{self._host()} answers with a redirect (HTTP {status}), which is not followed: the credentials are "
                "for this host only. Check DATAFORSEO_BASE_URL"
            )
        try:
            answer = parse_answer(bytes(body), status, simulated=came.simulated)
        except ValueError:
            if time.monotonic() - started >= self._total_timeout_s:  # cut by `deadline.py` in its head
                raise self._incomplete() from None
            raise self._not_json(status, retry_after) from None
        if status == 429 or status >= 500:
            raise TransientError(f"{self._host()} answers with HTTP {status}", answer=answer, retry_after_s=retry_after)
        return answer

    def _incomplete(self) -> TransientError:
        return TransientError(f"the answer was not complete after {self._total_timeout_s:.3g} s", may_go_on=True)

    def _not_judged(self, error: Exception, answer: SummaryAnswer) -> RequestError:
        said = self._clean(f"{type(error).__name__}: {error}"[:200])
        return RequestError(f"the answer could not be judged, which is a fault of this program ({said})", answer=answer)

    def _no_tls(self, error: Exception) -> RequestError | TransientError:
        """A certificate that is not trusted stays so; a connection that broke in the handshake may work again."""
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
        """Return the innermost error's kind and text, shortened, without the password should it ever be there."""
        inner = _innermost(error)
        return self._clean(f"{type(inner).__name__}: {inner}"[:200])

    def _clean(self, text: str) -> str:
        """Return a text from outside as a message may hold it: one printable line, no password in any form."""
        for secret in self._secrets:
            text = text.replace(secret, "***")
        return "".join(character if character.isprintable() else " " for character in text)


def _innermost(error: BaseException) -> BaseException:
    while (inner := error.__cause__ or error.__context__) is not None:
        error = inner
    return error


def _retry_after_s(header: str | None) -> float | None:
    """Return the seconds that a Retry-After header asks for: a number, or a date (RFC 9110, 10.2.3)."""
    if not header:
        return None
    if header.strip().isdecimal():
        return float(header)
    with contextlib.suppress(ValueError, TypeError):
        return max(0.0, (parsedate_to_datetime(header) - datetime.now(UTC)).total_seconds())
    return None
