"""The record of an endpoint of the API: its path, task, parsing and price.

Here belong `Endpoint`, the `Request` of a paid one and the `Tariff` it is charged by. The endpoints themselves are
`endpoints/`, one file each; the call is `client.py`.
"""

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any, Final, Generic, Protocol, TypeVar

from backlinks_assets.dataforseo.answer import Answer

CALL_USD: Final = 0.024
ROW_USD: Final = 0.000036
"""Price of a call and of a returned row, at every paid Backlinks endpoint (2026-07 to 2026-10)."""


@dataclass(frozen=True, slots=True)
class Tariff:
    """The price of a call and of each returned row, in US dollars. The default is the vendor's price of November 2026."""

    call_usd: float = CALL_USD
    row_usd: float = ROW_USD

    def price_usd(self, rows: int) -> float:
        return self.call_usd + self.row_usd * rows


BUILT_IN: Final = Tariff()

RequestT = TypeVar("RequestT")
ParsedT = TypeVar("ParsedT")


class UnusableError(ValueError):
    """A good answer can't be used for its request; the message is the end of a sentence."""


class Parameters(Protocol):
    """A request's parameters beside target and status type.

    `key` is equal if and only if the parameters are. `text` is their JSON. `options` are those that are set, as fields of
    a task.
    """

    @property
    def key(self) -> str: ...
    @property
    def text(self) -> str: ...
    @property
    def options(self) -> Mapping[str, Any]: ...


@dataclass(frozen=True, slots=True)
class Request:
    """One task of a paid endpoint.

    Its answer is stored under the day, the endpoint's name, `target`, `status_type` and `parameters.key`. A bulk call's
    `target` is the name of its batch, and its parameters hold the batch; its `status_type` is empty.
    """

    target: str
    parameters: Parameters
    status_type: str = ""
    tag: str = ""

    def task(self, **fields: str) -> dict[str, Any]:
        """Return the task as the API takes it: the endpoint's own fields, the options that are set, and the tag."""
        return {**fields, **self.parameters.options, **({"tag": self.tag} if self.tag else {})}


@dataclass(frozen=True, kw_only=True)
class Endpoint(Generic[RequestT, ParsedT]):
    """One endpoint of the API.

    Args:
        name: the path without `/v3/`, as in the store and the ledger.
        route: the path, where answers are stored under another name than its own.
        task: makes the one posted task of a request; None for a GET.
        parse: makes what the client returns of a good answer and its request; raises `UnusableError`.
        rows: how many charged result rows a request may return; None where calls are free.
        status_types: a target has an answer for each.
        target_fields: fields that concern the target alone if the API names one of them as invalid (40501).
    """

    name: str
    task: Callable[[RequestT], Mapping[str, Any]] | None = None
    parse: Callable[[Answer, RequestT], ParsedT]
    rows: Callable[[RequestT], int] | None = None
    status_types: tuple[str, ...] = ("",)
    target_fields: frozenset[str] = frozenset({"target"})
    route: str | None = None

    @property
    def path(self) -> str:
        return f"/v3/{self.route or self.name}"

    def expected_price_usd(self, request: RequestT, tariff: Tariff = BUILT_IN) -> float:
        """Return the highest expected cost of a call, by the account's own tariff where that is known."""
        return tariff.price_usd(self.rows(request)) if self.rows else 0.0


PaidEndpoint = Endpoint[Request, Answer]
