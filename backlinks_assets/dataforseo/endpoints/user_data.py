"""`GET /v3/appendix/user_data`: login, balance, limits and prices. Free, six calls per minute.

Here belongs the account's price list, read tolerantly. What a day costs by it is `cli/cost.py`.
"""

from collections.abc import Iterator, Mapping
from typing import Any, Final

from backlinks_assets.dataforseo.answer import cost_of
from backlinks_assets.dataforseo.endpoint import Endpoint, Tariff

USER_DATA: Final = Endpoint[None, dict[str, Any]](
    name="appendix/user_data", parse=lambda answer, _: answer.result or {}
)

USUAL_PRIORITY: Final = "priority_normal"


def price_list(data: Mapping[str, Any]) -> dict[str, Tariff]:
    """Return the tariff of each Backlinks endpoint by its name, such as `backlinks/summary/live`.

    It is read from `price.backlinks` of the account's data. An endpoint whose price could not be read is left out.
    """
    found: dict[str, Tariff] = {}
    for function, modes in _object(_object(data.get("price")).get("backlinks")).items():
        for mode, node in _object(modes).items():
            if (tariff := _tariff(node)) is not None:
                found[f"backlinks/{function}/{mode}"] = tariff
    return found


def _tariff(node: object) -> Tariff | None:
    """Return the tariff of a list of costs, each of a request or of a result; a number alone is the price of a call."""
    if isinstance(node, dict) and USUAL_PRIORITY in node:
        node = node[USUAL_PRIORITY]
    if (whole := cost_of(node)) is not None:
        return Tariff(whole, 0.0)
    calls: list[float] = []
    rows: list[float] = []
    for each in _costs(node):
        if (cost := cost_of(each.get("cost"))) is not None:
            (rows if _is_of_rows(str(each.get("cost_type"))) else calls).append(cost)
    return Tariff(sum(calls), sum(rows)) if calls else None


def _is_of_rows(cost_type: str) -> bool:
    return any(word in cost_type.lower() for word in ("result", "row", "item"))


def _costs(node: object) -> Iterator[Mapping[str, Any]]:
    if isinstance(node, list):
        for each in node:
            yield from _costs(each)
    elif isinstance(node, dict):
        if "cost" in node:
            yield node
        else:
            for each in node.values():
                yield from _costs(each)


def _object(value: object) -> Mapping[str, Any]:
    return value if isinstance(value, dict) else {}
