"""What the parameters of a task have in common: their key, and the types that several endpoints share.

Which parameters an endpoint takes, and their bounds, is `endpoints/`.
"""

import hashlib
from collections.abc import Mapping
from functools import cached_property
from typing import Annotated, Any, Final, Literal

import orjson
from pydantic import AfterValidator, BaseModel, ConfigDict

StatusType = Literal["live", "lost", "all"]
RankScale = Literal["one_hundred", "one_thousand"]

MAX_FILTER_CONDITIONS: Final = 8
_FILTER_OPERATORS = frozenset(
    {"=", "<>", "<", ">", "<=", ">=", "in", "not_in", "like", "not_like", "ilike", "not_ilike"}
    | {"regex", "not_regex", "match", "not_match"}
)


def _check_filters(filters: list[Any] | None) -> list[Any] | None:
    """Accept what the vendor documents: one condition, or conditions joined by "and" / "or", eight at most."""
    if filters is not None and (conditions := _conditions(filters)) > MAX_FILTER_CONDITIONS:
        raise ValueError(f"the API takes {MAX_FILTER_CONDITIONS} filter conditions at most, not {conditions}")
    return filters


def _conditions(node: object, depth: int = 0) -> int:
    """Return how many conditions a filter holds; raise ValueError where it is not a filter."""
    if not isinstance(node, list) or not node or depth > MAX_FILTER_CONDITIONS:
        raise ValueError('it is a condition such as ["dofollow", "=", true], or conditions joined by "and" or "or"')
    if isinstance(node[0], str):
        if len(node) != 3 or not isinstance(node[1], str):
            raise ValueError(f"a filter condition has three parts (field, operator, value), not {node!r}")
        if node[1] not in _FILTER_OPERATORS:
            known = ", ".join(sorted(_FILTER_OPERATORS))
            raise ValueError(f"{node[1]!r} is not a filter operator; the API knows {known}")
        return 1
    joints, parts = node[1::2], node[0::2]
    if len(node) % 2 == 0 or any(joint not in ("and", "or") for joint in joints):
        raise ValueError(f'conditions are joined by "and" or "or", not as in {node!r}')
    return sum(_conditions(part, depth + 1) for part in parts)


Filters = Annotated[list[Any] | None, AfterValidator(_check_filters)]


class TaskParameters(BaseModel):
    """The parameters that shape an answer. Unknown fields and other types are refused."""

    model_config = ConfigDict(frozen=True, extra="forbid", strict=True)

    @cached_property
    def key(self) -> str:
        """Sixteen hex digits that are equal when, and only when, the parameters are: part of an answer's key."""
        return hashlib.sha256(self.text.encode()).hexdigest()[:16]

    @cached_property
    def text(self) -> str:
        """The parameters as JSON, always in the same order."""
        return orjson.dumps(self.model_dump(), option=orjson.OPT_SORT_KEYS).decode()

    @cached_property
    def options(self) -> Mapping[str, Any]:
        """Those that are set, as a task of the API takes them."""
        return self.model_dump(exclude_none=True)
