"""`GET /v3/backlinks/index`: whether the account may make calls. Free.

Unlike the user's data it is refused to an unverified account, and to a machine that is not on the account's list.
"""

from typing import Final

from backlinks_assets.dataforseo.endpoint import Endpoint

INDEX: Final = Endpoint[None, None](name="backlinks/index", parse=lambda *_: None)
