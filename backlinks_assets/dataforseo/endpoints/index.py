"""`GET /v3/backlinks/index`: unlike the user's data it is refused to an account that may make no calls. Free.

It is refused to an account that is not verified, and to a machine that is not on the account's list.
"""

from typing import Final

from backlinks_assets.dataforseo.endpoint import Endpoint

INDEX: Final = Endpoint[None, None](name="backlinks/index", parse=lambda *_: None)
