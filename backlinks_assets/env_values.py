"""The values of environment variables: each text is parsed and checked here, and an error names the variable.

Which variables there are, and what they mean together, is `settings.py`. Errors never quote what may hold a secret.
"""

import ipaddress
import re
from collections.abc import Mapping, Sequence
from typing import Literal
from urllib.parse import SplitResult, urlsplit

from backlinks_assets.errors import BacklinksError
from backlinks_assets.postgres_url import PostgresUrl

VENDOR_URL = "https://api.dataforseo.com"


class SettingsError(BacklinksError, ValueError):
    """An environment variable, or two together, can't be used; the message names them and the next step."""

    exit_status = 2


def text_of(env: Mapping[str, str], name: str) -> str | None:
    return env.get(name, "").strip() or None


def is_loopback(url: str) -> bool:
    host = urlsplit(url).hostname or ""
    if host == "localhost":
        return True
    try:
        return ipaddress.ip_address(host).is_loopback
    except ValueError:
        return False


def _web_address(variable: str, text: str, what: str, how: str, on_credentials: str) -> SplitResult:
    """Return the parts of an http(s) address with a host, without query and fragment; raises SettingsError."""
    try:
        parts = urlsplit(text)
        _ = parts.port
    except ValueError as error:
        raise SettingsError(f"{variable} is not a valid URL: {error}. {how}") from None
    if "@" in parts.netloc:
        raise SettingsError(f"{variable} holds credentials{on_credentials}")
    if parts.scheme not in {"http", "https"} or not parts.hostname or parts.query or parts.fragment:
        raise SettingsError(f"{variable} is {text!r}, which is not a valid {what}. {how}")
    return parts


def base_url(text: str | None) -> str | None:
    if text is None:
        return None
    elsewhere = ". Take them out and set DATAFORSEO_LOGIN and DATAFORSEO_PASSWORD."
    parts = _web_address("DATAFORSEO_BASE_URL", text, "base URL", f"Write it as {VENDOR_URL}.", elsewhere)
    if parts.scheme == "http" and not is_loopback(text):
        raise SettingsError(
            f"DATAFORSEO_BASE_URL is {text!r}: plain http would send the credentials readable over the network. "
            "Use https; http is for loopback only."
        )
    return text.rstrip("/").removesuffix("/v3")


def database_url(env: Mapping[str, str], variable: str) -> PostgresUrl | None:
    text = text_of(env, variable)
    try:
        return None if text is None else PostgresUrl.parse(text)
    except ValueError as error:
        raise SettingsError(f"{variable} {error} It is not shown here, since it may hold a password.") from None


def reports_url(text: str | None) -> str | None:
    """Return the web address of the folder of reports, without a slash at its end."""
    if text is None:
        return None
    variable, what = "BACKLINKS_REPORTS_URL", "address of a web folder"
    how = "Write the address under which the folder `reports` is served, such as https://intranet.example/backlinks."
    _web_address(variable, text, what, how, f", which every message would show. {how}")
    if not _WEB_ADDRESS.fullmatch(text):
        raise SettingsError(f"{variable} is {text!r}, which is not a valid {what}. {how}")
    return text.removesuffix("/index.html").rstrip("/")


_WEB_ADDRESS = re.compile(r"[A-Za-z0-9._~:/%@!$&'*+,;=\[\]-]+")
"""Characters of an address that need no percent-encoding."""
_URL_START = re.compile(r"[A-Za-z][A-Za-z0-9+.-]*://")


def is_url(text: str) -> bool:
    """Whether a text is one URL with a scheme and something after it."""
    start = _URL_START.match(text)
    return start is not None and start.end() < len(text) and not re.search(r"\s", text)


def notify_urls(text: str | None) -> tuple[str, ...]:
    """Return the URLs, separated by white space, or by commas before a scheme: a URL may have commas.

    Errors never quote a URL, since most hold a secret.
    """
    urls = re.split(rf"\s+|,(?={_URL_START.pattern})", text or "")
    urls = [url.strip(",") for url in urls if url.strip(",")]
    for number, url in enumerate(urls, start=1):
        start = _URL_START.match(url)
        if start is None or start.end() == len(url):
            raise SettingsError(
                f"BACKLINKS_NOTIFY_URLS: number {number} of {len(urls)} is not a URL with a scheme, such as "
                "mailto:// or slack:// (it is not shown here, since it may hold a secret). Separate several by spaces."
            )
    return tuple(urls)


def watch(env: Mapping[str, str], name: str) -> Literal["full", "bulk"]:
    match (text_of(env, name) or "full").lower():
        case "full":
            return "full"
        case "bulk":
            return "bulk"
    raise SettingsError(f"{name} is {env[name]!r}; it must be full (two summaries a target and day) or bulk.")


def whole(env: Mapping[str, str], name: str, default: int, highest: int, lowest: int = 1) -> int:
    text = text_of(env, name)
    if text is None:
        return default
    if not text.isdecimal() or not lowest <= int(text) <= highest:
        raise SettingsError(f"{name} is {text!r}; it must be a whole number from {lowest} to {highest:,}.")
    return int(text)


def one_of(env: Mapping[str, str], name: str, known: Sequence[str]) -> str:
    """Return one of the known words in lower case; the first where the variable is not set."""
    text = (text_of(env, name) or known[0]).lower()
    if text not in known:
        raise SettingsError(f"{name} is {text!r}; it must be {', '.join(known[:-1])} or {known[-1]}.")
    return text


def dollars(env: Mapping[str, str], name: str) -> float | None:
    text = text_of(env, name)
    if text is None:
        return None
    try:
        value = float(text.removeprefix("$"))
    except ValueError:
        value = -1.0
    if not 0 <= value < 1e9:
        raise SettingsError(f"{name} is {text!r}; it must be an amount in US dollars, such as 25 or 0.5.")
    return value


def header_name(env: Mapping[str, str], name: str) -> str | None:
    text = text_of(env, name)
    if text is not None and not re.fullmatch(r"[A-Za-z0-9_-]+", text):
        raise SettingsError(f"{name} is {text!r}; it must be the name of an HTTP header, such as X-Forwarded-User.")
    return text
