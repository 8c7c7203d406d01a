"""`GET /v3/appendix/user_data`: login, balance, limits and prices. Free, six calls per minute."""

from typing import Any, Final

from backlinks_assets.dataforseo.endpoint import Endpoint

USER_DATA: Final = Endpoint[None, dict[str, Any]](
    name="appendix/user_data", parse=lambda answer, _: answer.result or {}
)
