"""What a form sends: read whole, in one size, as texts. What is said with it is `incidents/saying.py`."""

import datetime as dt
from dataclasses import dataclass
from typing import Final
from urllib.parse import parse_qsl

from starlette.requests import Request

from backlinks_assets.dates import iso_date
from backlinks_assets.formatting import shown
from backlinks_assets.serve.rules import RefusedError

MAX_BYTES: Final = 20_000
"""A note of 1,000 characters has at most 12,000 bytes in a form."""
MAX_FIELDS: Final = 20


@dataclass(frozen=True, slots=True)
class Posted:
    """A form's fields. `seen` is what the incident was when its form was shown, `back` the path of the page it is on."""

    token: str = ""
    seen: str = ""
    back: str = ""
    action: str = ""
    note: str = ""
    by: str = ""
    until: str = ""
    reason: str = ""

    @property
    def end(self) -> dt.date | None:
        """The day on which a snooze ends; None where none was chosen. Raises RefusedError."""
        text = self.until.strip()
        try:
            return iso_date(text) if text else None
        except ValueError as error:
            raise RefusedError(
                400, f"{shown(text)} could not be read as a day ({error}). Nothing was written."
            ) from None


NOTHING: Final = Posted()


async def read_posted(request: Request) -> Posted:
    """Return what a form sends; raises RefusedError where it is no form of these pages."""
    kind = request.headers.get("content-type", "").partition(";")[0].strip().lower()
    if kind != "application/x-www-form-urlencoded":
        raise RefusedError(400, "This could not be read as a form of these pages. Nothing was written.")
    body = b""
    async for chunk in request.stream():
        body += chunk
        if len(body) > MAX_BYTES:
            raise RefusedError(
                413, f"The form has more than {MAX_BYTES:,} bytes. Nothing was written: shorten the note."
            )
    try:
        pairs = parse_qsl(body.decode("ascii"), keep_blank_values=True, max_num_fields=MAX_FIELDS, errors="strict")
    except ValueError:  # also a UnicodeDecodeError
        raise RefusedError(400, "The form could not be read. Nothing was written: load the page again.") from None
    fields = {name: value for name, value in pairs if name in Posted.__dataclass_fields__}
    return Posted(**fields)
