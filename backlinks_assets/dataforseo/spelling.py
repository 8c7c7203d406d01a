"""Compares spellings of a target: the API's answer may spell it in another way than the request.

Which names may be watched, and how they are written, is `targets/name.py`.
"""

import re
import unicodedata
from typing import Final

from backlinks_assets.host import ZERO_WIDTH_JOINERS, ascii_host, unicode_host

_SPACES: Final = " \t\r\n\u00a0\u3000"
_PAGE: Final = re.compile(r"(https?)://", re.IGNORECASE)
_DEFAULT_PORTS: Final = {"http": "80", "https": "443"}
_PATH_DELIMITERS, _QUERY_DELIMITERS = b"/?#%", b"&=+#%"  # encoded they mean something else
_UNSEEN: Final = dict.fromkeys(map(ord, ZERO_WIDTH_JOINERS + "\ufe0f"))  # some programs drop them from a host name


def normal_form(target: str) -> str:
    """Return what two spellings of one target have in common. For comparison only, not to be watched or shown.

    Equal are: host names in Unicode and in punycode, upper and lower case (of paths too), with and without `www.`, a
    trailing dot, a slash at the end, a default port, zeros before a port and a fragment; characters written as they are
    and percent-encoded (not `/`, `?` and the like, which mean something else when encoded); in a query, space and `+`.
    Schemes differ, and a page differs from its domain.

    Never raises: a text that can't be a target is compared as it is.
    """
    text = target.strip(_SPACES)
    page = _PAGE.match(text)
    scheme = page[0].lower() if page else ""
    authority, path = re.fullmatch(r"([^/?#]*)(.*)", text[len(scheme) :], re.DOTALL).groups()  # type: ignore[union-attr]
    name, colon, port = authority.partition(":")
    if re.fullmatch(r"[0-9]{1,6}", port):
        port = str(int(port))
    if port in ({"", _DEFAULT_PORTS[page[1].lower()]} if page else {"", "80", "443"}):
        colon = port = ""
    try:
        host = ascii_host(name)
    except ValueError:
        host = name
    host = unicode_host(host.lower().removesuffix(".")).translate(_UNSEEN)
    while host.startswith("www.") and "." in host.removeprefix("www."):
        host = host.removeprefix("www.")
    path, mark, query = path.partition("#")[0].partition("?")
    path = _decoded(path.rstrip("/"), _PATH_DELIMITERS)
    query = mark + _decoded(query.replace("+", " "), _QUERY_DELIMITERS) if query else ""
    return unicodedata.normalize("NFC", f"{scheme}{host}{colon}{port}{path}{query}".lower())


def _decoded(text: str, delimiters: bytes) -> str:
    """Return a path or query with all that means the same when percent-encoded decoded."""

    def byte(match: re.Match[bytes]) -> bytes:
        value = int(match[1] or b"25", 16)  # a percent sign that encodes nothing stands for itself
        return b"%%%02X" % value if value in delimiters else bytes([value])

    raw = re.sub(rb"%([0-9A-Fa-f]{2})?", byte, text.encode("utf-8", "surrogatepass"))
    return raw.decode("utf-8", "surrogateescape")
