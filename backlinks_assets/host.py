"""A host name as in DNS: lower-case ASCII, internationalised labels in punycode; and the domain that was registered.

Which host names may be watched (public suffixes, `www.`, pages) is `targets/name.py`.
"""

import functools
import ipaddress
import re
import unicodedata
from typing import Any, Final

import idna
from idna.core import valid_contextj

ZERO_WIDTH_JOINERS = "\u200c\u200d"
"""Needed in Persian and Indic words and in emoji; anywhere else they are an invisible mistake."""

RESERVED_EXAMPLES: Final = frozenset({"example", "test"})
"""Top-level domains that RFC 2606 keeps out of the internet: only the simulator answers for them."""

_A_LABEL = "xn--"
_PAGE = re.compile(r"https?://", re.IGNORECASE)


@functools.cache
def public_suffixes() -> Any:
    """Return tldextract on its bundled list alone: no download, no cache on disk, no private suffixes."""
    from tldextract import TLDExtract  # brings `requests` along, a tenth of a second

    return TLDExtract(suffix_list_urls=(), cache_dir=None, include_psl_private_domains=False)


@functools.cache
def all_suffixes() -> Any:
    """Return the same with the private suffixes too: the free hosts on which each subdomain is somebody else's."""
    from tldextract import TLDExtract

    return TLDExtract(suffix_list_urls=(), cache_dir=None, include_psl_private_domains=True)


def registered_name(host: str) -> str:
    """Return what one person holds of a host: `example.com` of `www.example.com`, `me.blogspot.com` of `a.me.blogspot.com`."""
    name = re.split(r"[/?#]", _PAGE.sub("", host), maxsplit=1)[0].partition(":")[0].lower().removesuffix(".")
    found = all_suffixes().extract_str(name)
    return f"{found.domain}.{found.suffix}" if found.domain and found.suffix else main_domain(name)


def is_free_host(host: str) -> bool:
    """Whether a host is as a whole one on which each subdomain is somebody else's, such as `blogspot.com`."""
    name = host.lower().removesuffix(".")
    return not all_suffixes().extract_str(name).domain and bool(public_suffixes().extract_str(name).domain)


def main_domain(target: str) -> str:
    """Return the domain of a target that was registered: `bbc.co.uk` of `www.bbc.co.uk` and of a page there.

    A host without one (an address, a name under no public suffix) is its own.
    """
    host = re.split(r"[/?#]", _PAGE.sub("", target), maxsplit=1)[0].partition(":")[0].lower().removesuffix(".")
    labels = host.split(".")
    if labels[-1] in RESERVED_EXAMPLES:
        return ".".join(labels[-2:])
    try:
        ipaddress.IPv4Address(host)
    except ValueError:
        found = public_suffixes().extract_str(host)
        return f"{found.domain}.{found.suffix}" if found.domain and found.suffix else host
    return host


def ascii_host(name: str) -> str:
    """Return a host name in lower-case ASCII: UTS 46's mapping without its choice of letters, then punycode.

    IDNA 2008 excludes emoji and other symbols, but such names are registered and in DNS. A label in punycode stays as it is,
    even if it can't be decoded. The caller checks lengths and the ASCII characters of labels.

    Raises:
        ValueError: a character that no registry maps to a name, or a joiner that joins nothing.
    """
    if name.isascii():
        return name.lower()
    try:
        mapped = idna.uts46_remap(name, std3_rules=False)
    except idna.IDNAError as error:
        raise ValueError(
            f"holds what no domain name may hold: {error}. If the name is registered, write it in punycode (xn--…)."
        ) from None
    return ".".join(map(_ascii_label, mapped.split(".")))


def unicode_host(name: str) -> str:
    """Return a host name as people read it; a label whose punycode can't be decoded stays as it is."""
    return ".".join(map(_unicode_label, name.split(".")))


def _ascii_label(label: str) -> str:
    if label.isascii():
        return label
    if label.startswith(_A_LABEL):
        raise ValueError("has a label that begins as punycode (xn--) and holds other letters: write one or the other.")
    for position, character in enumerate(label):
        if character in ZERO_WIDTH_JOINERS and not _joins(label, position):
            raise ValueError(
                f"holds an invisible character (U+{ord(character):04X}) that joins nothing: delete it, or write the "
                "name in punycode (xn--…)."
            )
    return _A_LABEL + label.encode("punycode").decode("ascii")


def _unicode_label(label: str) -> str:
    if not label.startswith(_A_LABEL):
        return label
    try:
        return label.removeprefix(_A_LABEL).encode("ascii").decode("punycode")
    except (UnicodeError, ValueError):
        return label


def _joins(label: str, position: int) -> bool:
    """Whether a joiner is where a script needs it (RFC 5892, A.1 and A.2), or between two emoji."""
    if 0 < position < len(label) - 1 and label[position] == "\u200d":
        before, after = (unicodedata.category(label[at]) for at in (position - 1, position + 1))
        if before in {"So", "Sk"} and after == "So":  # Sk: the skin tones
            return True
    try:
        return valid_contextj(label, position)
    except ValueError:
        return False
