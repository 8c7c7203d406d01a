"""What the bulk endpoints have in common: many targets a call, and an item for each of them, perhaps.

The endpoints themselves, with the fields of their items, are `endpoints/bulk_*.py`; which targets share a call is
`collect/chunks.py`.
"""

import hashlib
from collections.abc import Collection, Iterable, Mapping
from typing import Annotated, Any, Final

from pydantic import AfterValidator, Field

from backlinks_assets.dataforseo.answer import OK, Answer
from backlinks_assets.dataforseo.endpoint import Request, UnusableError
from backlinks_assets.dataforseo.parameters import TaskParameters
from backlinks_assets.dataforseo.spelling import normal_form

MAX_TARGETS: Final = 1000
"""Of one call; the API's limit."""

TARGET_FIELDS: Final = frozenset({"targets"})
"""40501 names this field for a bad target, without saying which."""


def _check_targets(targets: tuple[str, ...]) -> tuple[str, ...]:
    if len(set(targets)) < len(targets):
        raise ValueError("a target is in a call once")
    return targets


class BulkParameters(TaskParameters):
    """The parameters of a bulk call: its targets, 1 to 1,000, each once."""

    targets: Annotated[tuple[str, ...], AfterValidator(_check_targets)] = Field(min_length=1, max_length=MAX_TARGETS)

    @property
    def batch(self) -> str:
        """The name of these targets, in whatever order: sixteen hex digits, which stand for a target in store and tag."""
        return hashlib.sha256("\n".join(sorted(self.targets)).encode()).hexdigest()[:16]


def bulk_request(parameters: BulkParameters, tag: str = "") -> Request:
    """Return the request of a bulk call, which is stored under the name of its batch."""
    return Request(parameters.batch, parameters, tag=tag)


def targets_of(request: Request) -> tuple[str, ...]:
    return tuple(request.parameters.options["targets"])


def parse(answer: Answer, request: Request) -> Answer:
    """Return the answer; its items are read by `items_by_target`.

    Raises:
        UnusableError: the answer is about other targets, or its result holds no list of items.
    """
    echoed = answer.echo.get("targets")
    if isinstance(echoed, list) and {_form(each) for each in echoed} != {_form(each) for each in targets_of(request)}:
        raise UnusableError("it is about other targets than those of the request")
    result = answer.result
    if not answer.is_empty and answer.status_code == OK and not isinstance((result or {}).get("items", 0), list | None):
        raise UnusableError("its result holds no list of items that could be read")
    return answer


def items_by_target(
    result: Mapping[str, Any] | None, targets: Iterable[str], *, named: str, counts: Collection[str]
) -> dict[str, Mapping[str, Any]]:
    """Return the item of each target, under the spelling that was requested.

    An item that is missing or null, or that has a number for none of `counts`, is no reading, and its target is left out.
    0 is a reading. `named` is the field that names the target. Of two items of a target the first counts.
    """
    requested = {_form(target): target for target in targets}
    found: dict[str, Mapping[str, Any]] = {}
    items = (result or {}).get("items")
    for item in items if isinstance(items, list) else []:
        target = requested.get(_form(item.get(named))) if isinstance(item, dict) else None
        if target is not None and any(whole_number(item.get(name)) is not None for name in counts):
            found.setdefault(target, item)
    return found


def whole_number(value: object) -> int | None:
    """Return a JSON number that is whole; None for null and for all else."""
    if isinstance(value, bool) or not isinstance(value, int | float) or value != value // 1:
        return None
    return int(value)


def _form(name: object) -> str:
    return normal_form(name) if isinstance(name, str) else ""
