"""Whether a good answer can be used for the request: that it is about the same target, and holds a summary of it.

Here belongs the comparison of what was asked with what came. Status codes are `status_codes.py`; how a target is spelt is
`targets/name.py`. Nothing is thrown away here: the caller keeps the answer whatever is found.
"""

from typing import Any, Final

from backlinks_assets.dataforseo.endpoints.summary import OK, SummaryAnswer, SummaryRequest
from backlinks_assets.targets.name import normal_form, shown

_SUMMARY_FIELDS: Final = frozenset({"backlinks", "backlinks_spam_score", "rank", "referring_domains", "info"})
"""A result with none of these is no summary, whatever else it holds."""


def mismatch(answer: SummaryAnswer, request: SummaryRequest) -> str | None:
    """Return why the answer can't be used as the request's, as the end of a sentence, or None where it can.

    Both the result and the task's echo of the request name the target. Either may spell it in another way; neither may
    name another target, and the echo may not name another status type.
    """
    result, echo = answer.result or {}, answer.echo
    echoed = _text(echo.get("target"))
    for named in (_text(result.get("target")), echoed):
        if named is not None and not _is_same(named, request.target, echoed):
            return f"it is about {shown(named)}, not about the target that was asked for"
    status_type = _text(echo.get("backlinks_status_type"))
    if status_type is not None and status_type.lower() != request.status_type:
        return f"it is about {shown(status_type)} backlinks, not about {request.status_type!r} ones"
    if not answer.is_empty and answer.status_code == OK and not _SUMMARY_FIELDS & result.keys():
        return "its result holds no summary that could be read"
    return None


def _text(value: Any) -> str | None:
    return str(value) if value else None


def _is_same(named: str, asked: str, echoed: str | None) -> bool:
    """Whether two names are spellings of one target; under an echo of the very request, a page may lack its scheme."""
    if named == asked or normal_form(named) == normal_form(asked):
        return True
    is_ours = echoed is not None and normal_form(echoed) == normal_form(asked)
    return is_ours and "/" in named and normal_form(f"{asked.partition('://')[0]}://{named}") == normal_form(asked)
