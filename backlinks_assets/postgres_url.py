"""The URL of a Postgres database as people write it, and the words for it that hold no password.

Nothing is opened here: that is `store/postgres.py`, and `dagster_instance/` for Dagster's own.
"""

from dataclasses import dataclass, field
from typing import Final
from urllib.parse import parse_qs, unquote, urlsplit

SCHEMES: Final = frozenset({"postgresql", "postgres", "postgresql+psycopg", "postgresql+psycopg2"})
HOW: Final = (
    "Write it as postgresql://user:password@host:5432/database; in the password @ : / ? # and % are percent-encoded "
    "(%40 %3A %2F %3F %23 %25)."
)


@dataclass(frozen=True, slots=True)
class PostgresUrl:
    """A database on a server. `place` names the host, the port and the database in messages.

    `secret` is the whole URL, without a driver.
    """

    secret: str = field(repr=False)
    place: str

    def __str__(self) -> str:
        return self.place

    @classmethod
    def parse(cls, text: str) -> "PostgresUrl":
        """Return the URL.

        Raises:
            ValueError: it can't be used; the message says why and how to write it, and quotes nothing of it.
        """
        try:
            parts = urlsplit(text)
            host, port = parts.hostname, parts.port or 5432
        except ValueError:
            raise ValueError(f"is not a valid URL. {HOW}") from None
        if parts.scheme not in SCHEMES:
            raise ValueError(f"does not begin with postgresql://. {HOW}")
        host = host or next(iter(parse_qs(parts.query).get("host", [])), None)
        database = unquote(parts.path.removeprefix("/"))
        if not host or not database or not database.isprintable() or set("/@") & set(database) or parts.fragment:
            raise ValueError(f"does not name a host and a database. {HOW}")
        server = host if host.startswith("/") else f"{f'[{host}]' if ':' in host else host}:{port}"
        return cls("postgresql" + text[text.index("://") :], f"the database {database} on {server}")
