"""Object storage as a place, by obstore: S3 and what speaks its language, Google Cloud Storage, Azure.

The only module that imports obstore. What a client says of an error is made a sentence, without what may be secret.
"""

import re
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from datetime import timedelta
from typing import Any, BinaryIO, Final
from urllib.parse import urlsplit

from backlinks_assets.published.place import LostError, Place, Writable
from backlinks_assets.tables.atomic import TablesError
from backlinks_assets.tables_url import SCHEMES, VARIABLE, TablesUrl

try:
    import obstore
    from obstore import exceptions
    from obstore.store import AzureStore, GCSStore, S3Store
except ImportError as error:  # the extra is not installed
    raise TablesError(
        f"{VARIABLE} names object storage, for which the package obstore is missing. Install the extra "
        "`s3`: docs/deploy.md has the command."
    ) from error

PART_BYTES: Final = 32 << 20
"""Read in one request, so that a slow network needs no time-out of hours."""
_RETRIES: Final = {"max_retries": 4, "retry_timeout": timedelta(seconds=60)}
_KEYS: Final = {
    "s3": "AWS_ACCESS_KEY_ID and AWS_SECRET_ACCESS_KEY",
    "gs": "GOOGLE_APPLICATION_CREDENTIALS",
    "az": "AZURE_STORAGE_ACCOUNT_NAME and AZURE_STORAGE_ACCOUNT_KEY",
}
_REASONS: Final = re.compile(r"HTTP error: [\w ,:]+|status code: \d{3}[\w ]*|<Code>\w+</Code>")


class Objects(Place):
    """A bucket or a part of one."""

    def __init__(self, store: Any, shown: str, scheme: str = "s3") -> None:
        self._store, self.shown, self._scheme = store, shown, scheme
        self._versions: dict[str, str | None] = {}
        """The version of each ETag met: Google's conditions are about versions."""

    def read(self, name: str, unless: str | None = None) -> tuple[bytes | None, str] | None:
        with self._sentences("read"):
            try:
                found = obstore.get(self._store, name, options={"if_none_match": unless} if unless else {})
                return bytes(found.bytes()), self._known(found.meta)
            except exceptions.NotModifiedError:
                return None, unless or ""
            except FileNotFoundError as error:
                self._refuse_missing_bucket(error)
                return None

    def exchange(self, name: str, content: bytes, etag: str | None) -> str:
        with self._sentences("write"):
            try:
                version = self._versions.get(etag or "")
                mode: Any = {"e_tag": etag} | ({"version": version} if version else {}) if etag else "create"
                return self._known(obstore.put(self._store, name, content, mode=mode))
            except (exceptions.AlreadyExistsError, exceptions.PreconditionError) as error:
                raise LostError from error
            except FileNotFoundError as error:
                self._refuse_missing_bucket(error)
                raise LostError from error  # it was removed since it was read

    def fetch(self, name: str, file: Writable) -> bool:
        with self._sentences("read"):
            try:
                start, total, etag = 0, 1, None
                while start < total:
                    part: Any = {"range": (start, start + PART_BYTES)} | ({"if_match": etag} if etag else {})
                    found = obstore.get(self._store, name, options=part)
                    total, etag = found.meta["size"], found.meta["e_tag"]
                    start += file.write(found.bytes())
            except (FileNotFoundError, exceptions.PreconditionError) as error:
                self._refuse_missing_bucket(error)
                return False
        return True

    def put(self, name: str, file: BinaryIO) -> str:
        with self._sentences("write"):
            try:
                return str(obstore.put(self._store, name, file)["e_tag"])
            except FileNotFoundError as error:
                self._refuse_missing_bucket(error)
                raise

    def etag(self, name: str) -> str | None:
        with self._sentences("read"):
            try:
                return str(obstore.head(self._store, name)["e_tag"])
            except FileNotFoundError:
                return None

    def remove(self, name: str) -> None:
        with self._sentences("write"), suppress(FileNotFoundError):
            obstore.delete(self._store, name)

    def _known(self, found: Any) -> str:
        etag = str(found["e_tag"])
        self._versions[etag] = found["version"]
        return etag

    def _refuse_missing_bucket(self, error: Exception) -> None:
        if "NoSuchBucket" in str(error) or "ContainerNotFound" in str(error):
            raise TablesError(
                f"{self.shown} ({VARIABLE}) names a bucket that does not exist. Make it, or correct the name."
            ) from None

    @contextmanager
    def _sentences(self, action: str) -> Iterator[None]:
        try:
            yield
        except (exceptions.PermissionDeniedError, exceptions.UnauthenticatedError):
            raise TablesError(
                f"{self.shown} ({VARIABLE}) does not let these keys {action} there. Check {_KEYS[self._scheme]}, and that they "
                "may list, read and write the bucket."
            ) from None
        except (exceptions.BaseError, FileNotFoundError) as error:
            said = str(error)
            if "169.254.169.254" in said or "metadata.google" in said:
                raise TablesError(
                    f"There are no keys for {self.shown} ({VARIABLE}). Set {_KEYS[self._scheme]}, in the environment or in .env."
                ) from None
            reason = _REASONS.search(said)
            why = re.sub(r"</?Code>", "", reason[0]).strip() if reason else type(error).__name__
            raise TablesError(
                f"Could not {action} in {self.shown} ({VARIABLE}): {why}. Check the network and the endpoint, and run again: "
                "what was built is stored, and is published then."
            ) from None


def open_objects(url: TablesUrl) -> Objects:
    """Return the place of an `s3://`, `gs://` or `az://` URL; raises TablesError where its settings can't be used."""
    begin = SCHEMES[url.scheme].lower()
    options = {name.lower(): value for name, value in url.options}
    endpoint = next((options[name] for name in _ENDPOINTS if name in options), "")
    allowed = options.get(f"{begin}allow_http", "").lower() in {"1", "true", "yes"}
    plain = endpoint.startswith("http://")
    if plain and not allowed and (urlsplit(endpoint).hostname or "") not in _LOOPBACK:
        raise TablesError(
            f"The endpoint of {url.text} is plain http, over which tables could be read and changed on their way. Use https, or "
            f"set {begin.upper()}ALLOW_HTTP=true if that network is yours."
        )
    kind = {"s3": S3Store, "gs": GCSStore, "az": AzureStore}[url.scheme]
    config = {name: value for name, value in options.items() if not _OF_CLIENT.match(name.removeprefix(begin))}
    client = {"connect_timeout": "5s", "timeout": "120s", "allow_http": plain or allowed}
    while True:
        try:
            store = kind.from_url(url.text, config=config, client_options=client, retry_config=_RETRIES)  # type: ignore[attr-defined]
            return Objects(store, url.text, url.scheme)
        except exceptions.UnknownConfigurationKeyError as error:
            # Other programs' variables begin so too: AWS_PROFILE, AWS_PAGER.
            other = re.search(r"key: '(\w+)'", str(error))
            if other is None or config.pop(other[1], None) is None:
                raise TablesError(f"The variables for {url.text} can't be used together. Check them.") from None
        except exceptions.BaseError as error:
            first = str(error).split("\n", 1)[0]
            raise TablesError(
                f"{url.text} ({VARIABLE}) can't be used: {type(error).__name__}. {_hint(first)}"
            ) from None


_ENDPOINTS: Final = ("aws_endpoint_url_s3", "aws_endpoint_url", "aws_endpoint", "azure_storage_endpoint")
_LOOPBACK: Final = frozenset({"localhost", "127.0.0.1", "::1"})
_OF_CLIENT: Final = re.compile(
    r"allow_|connect_timeout|timeout|read_timeout|http[12]_only|pool_|proxy_|user_agent|default_content"
)
"""Options that the library takes for its client's; in its configuration they end the process."""


def _hint(said: str) -> str:
    return "Set AWS_REGION, in the environment or in .env." if "egion" in said else "Check the variables for it."
