"""The vendor's status codes, and the error of each.

Messages may vary, says the vendor, so the code decides. The message is read only where one code (40501) has several
meanings, or one text ("No Search Results") several codes. Sources: the vendor's list of errors (`/v3/appendix/errors`), its
help pages, and answers that clients have recorded.
"""

import re
from collections.abc import Collection
from typing import Final

from backlinks_assets.dataforseo.answer import OK, Answer
from backlinks_assets.dataforseo.errors import AccountError, ApiError, RequestError, TargetError, TransientError

NO_SEARCH_RESULTS: Final = 40102
INVALID_FIELD: Final = 40501

RATE_PAUSE_S: Final = 60.0
"""40202 counts the calls per minute, so a minute must pass."""

UPDATE_WAIT_S: Final = 60.0
"""50303 is an update of the vendor's index, which takes "a few minutes". Four retries wait five."""

CROWDED_WAIT_S: Final = 5.0
"""40209 counts calls at once: those in flight must end before fewer are."""

ACCOUNT_HINTS: Final = {
    40100: "The login or the password is wrong. Set DATAFORSEO_LOGIN and DATAFORSEO_PASSWORD to those of the "
    "vendor's API access page (the API password is not the dashboard's).",
    40104: "The account is not verified. Verify it in the vendor's dashboard.",
    40200: "The account's balance does not cover the call. Top it up in the vendor's dashboard.",
    40201: "The vendor has paused the account. Write to its support.",
    40203: "The account's own cost limit is reached. Raise it in the vendor's API settings, or wait for tomorrow.",
    40204: "The account has no access to the Backlinks API. See the plan in the vendor's dashboard.",
    40207: "This machine's IP address is not on the account's list. Add it in the vendor's API settings.",
    40208: "The vendor refuses the account. See its dashboard or write to its support.",
    40210: "The account's balance does not cover the call. Top it up in the vendor's dashboard.",
}

_RETRY_SOON: Final = frozenset({40101, 40103, 40106, 50000, 50001, 50301, 50302, 50401, 50402})
_TARGET: Final = {
    40205: "the account's limit on repeated requests per hour is reached; try again later",
    40206: "the account's limit on repeated requests per day is reached; try again tomorrow",
}
_HTTP_AS_CODE: Final = {401: 40100, 402: 40200, 403: 40204}


def error_of(answer: Answer, target_fields: Collection[str] = ("target",)) -> ApiError | None:
    """Return the error of an answer, or None where it is good (also where it is empty).

    An answer without a task is an error: it does not say that the target is unknown. `target_fields` are the endpoint's.
    """
    code = answer.status_code
    if answer.http_status in _HTTP_AS_CODE and (code is None or code == OK or code not in ACCOUNT_HINTS):
        code = _HTTP_AS_CODE[answer.http_status]
    said = f"{answer.status_message or 'no message'} ({code if code is not None else f'HTTP {answer.http_status}'})"
    is_empty = code == NO_SEARCH_RESULTS or "no search results" in answer.status_message.lower()
    if is_empty or (code in {None, OK} and answer.http_status < 400):
        what = f"DataForSEO's answer holds no task that was carried out: {said}"
        return None if answer.task else TransientError(what, answer=answer)
    if code in ACCOUNT_HINTS:
        return AccountError(f"DataForSEO refuses the account: {said}. {ACCOUNT_HINTS[code]}", answer=answer)
    if code == INVALID_FIELD:
        return _invalid_field(answer, said, target_fields)
    if code in _TARGET:
        return TargetError(f"DataForSEO refuses the call: {said}; {_TARGET[code]}", answer=answer)
    return _transient(answer, code, said) or _by_block(answer, code, said)


def _invalid_field(answer: Answer, said: str, target_fields: Collection[str]) -> ApiError:
    """40501 names a field: the target's own concerns this target, any other concerns every request."""
    named = re.search(r"['\"‘’](\w+)['\"‘’]", answer.status_message)
    if named and named[1] in target_fields:
        return TargetError(
            f"DataForSEO does not accept the target: {said}. Check its spelling in the targets file, or retire it",
            answer=answer,
        )
    return RequestError(f"DataForSEO does not accept a request parameter: {said}. Check the settings", answer=answer)


def _transient(answer: Answer, code: int | None, said: str) -> TransientError | None:
    message = f"DataForSEO can't answer now: {said}"
    if code == 40202:
        return TransientError(message, answer=answer, pause_account_s=RATE_PAUSE_S)
    if code == 40209:
        return TransientError(message, answer=answer, retry_after_s=CROWDED_WAIT_S, lower_concurrency=True)
    if code == 50303:
        return TransientError(message, answer=answer, retry_after_s=UPDATE_WAIT_S)
    if code == 50304:
        return TransientError(message, answer=answer, retry_after_s=UPDATE_WAIT_S, stops_run=True)
    if code in _RETRY_SOON:
        return TransientError(message, answer=answer)
    return None


def _by_block(answer: Answer, code: int | None, said: str) -> ApiError:
    """Return the error of an unlisted code by its block of a hundred; without a code, HTTP's status decides."""
    number = code if code is not None and code != OK else answer.http_status * 100
    block = number // 100
    if block in {401, 402}:
        return AccountError(f"DataForSEO refuses the account: {said}. See the vendor's dashboard.", answer=answer)
    if number >= 50000 and code != 50100:
        return TransientError(f"DataForSEO can't answer now: {said}", answer=answer)
    return RequestError(f"DataForSEO does not accept the request: {said}. Check the settings", answer=answer)
