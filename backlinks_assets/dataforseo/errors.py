"""The client's errors, named by what a rerun can do.

    ApiError
    ├── TransientError   the same call may succeed later: retried
    ├── TargetError      this target only: its other days and the other targets are not concerned
    ├── AccountError     the whole account: no call can succeed until a person acts
    └── RequestError     our own request or configuration: no call like it can succeed

Only the tree; which status code is which is `status_codes.py`.
"""

from backlinks_assets.dataforseo.answer import Answer
from backlinks_assets.errors import BacklinksError


class ApiError(BacklinksError):
    """A call without a usable answer. `answer` is what came, if anything: it may have been charged."""

    def __init__(self, message: str, *, answer: Answer | None = None) -> None:
        super().__init__(message)
        self.message = message
        self.answer = answer


class TransientError(ApiError):
    """The same call may succeed later.

    `retry_after_s`: wait at least so long. `pause_account_s`: every worker must wait. `lower_concurrency`: too many
    calls were made at once. `may_go_on`: the server may still be at work on the call. `stops_run`: when the retries are
    used up, other calls would fail too.
    """

    def __init__(
        self,
        message: str,
        *,
        answer: Answer | None = None,
        retry_after_s: float | None = None,
        pause_account_s: float = 0.0,
        lower_concurrency: bool = False,
        may_go_on: bool = False,
        stops_run: bool = False,
    ) -> None:
        super().__init__(message, answer=answer)
        self.retry_after_s = retry_after_s
        self.pause_account_s = pause_account_s
        self.lower_concurrency = lower_concurrency
        self.may_go_on = may_go_on
        self.stops_run = stops_run


class TargetError(ApiError):
    """This target can't be answered for now; a retry of the same call would not help."""


class AccountError(ApiError):
    """The account can't make calls until a person acts; the message says where."""


class RequestError(ApiError):
    """The request itself is refused, whatever the target; a setting or this program must change."""
