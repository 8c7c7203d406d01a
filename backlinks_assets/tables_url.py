"""The text of BACKLINKS_TABLES_URL: where tables and pages are published, and the keys that a client needs there.

Nothing is opened here: the places are `published/`.
"""

from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from typing import Final
from urllib.parse import urlsplit

from backlinks_assets.anchor import Anchor

VARIABLE: Final = "BACKLINKS_TABLES_URL"
HOW: Final = "Write it as s3://bucket/prefix, gs://bucket/prefix, az://container/prefix or the path of a folder."
SCHEMES: Final = {"s3": "AWS_", "gs": "GOOGLE_", "az": "AZURE_"}
"""Kinds of object storage, and how the variables begin that a client of each reads."""


@dataclass(frozen=True, slots=True)
class TablesUrl:
    """A published place. `scheme` is `folder` or one of `SCHEMES`; only `options` may hold secrets.

    `base` is what the variable says, `folder` a folder in it.
    """

    base: str
    scheme: str
    folder: str = ""
    options: tuple[tuple[str, str], ...] = field(default=(), repr=False)

    @classmethod
    def parse(cls, text: str, anchor: Anchor) -> "TablesUrl":
        """Return the place that a variable's text names; a relative folder is the anchor's.

        Raises:
            ValueError: the text can't be used; the sentence does not show it if it may hold a secret.
            AnchorError: the folder's path can't be used.
        """
        if "://" not in text:
            return cls(str(anchor.path(VARIABLE, text)), "folder")
        parts = urlsplit(text)
        if "@" in parts.netloc or parts.query or parts.fragment:
            raise ValueError(
                f"{VARIABLE} has more than a bucket and a prefix (it is not shown here, since it may hold a secret). {HOW} "
                "Keys come from variables of their own, such as AWS_ACCESS_KEY_ID."
            )
        if parts.scheme not in SCHEMES or not parts.netloc:
            raise ValueError(f"{VARIABLE} is {text!r}, which names no place to publish to. {HOW}")
        begin = SCHEMES[parts.scheme]
        return cls(text.rstrip("/"), parts.scheme, options=options_of(anchor.env, begin))

    @property
    def text(self) -> str:
        return f"{self.base}/{self.folder}" if self.folder else self.base

    def below(self, name: str) -> "TablesUrl":
        """Return the place in a folder of this one."""
        return replace(self, folder=name)


def options_of(env: Mapping[str, str], begin: str) -> tuple[tuple[str, str], ...]:
    """Return the variables whose names begin so and that are set."""
    return tuple(sorted((name, value) for name, value in env.items() if name.startswith(begin) and value))
