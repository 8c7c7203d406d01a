"""A host name as in DNS: lower-case ASCII, internationalised labels in punycode.

Which host names may be watched (public suffixes, `www.`, pages) is `targets/name.py`.
"""

import unicodedata

import idna
from idna.core import valid_contextj

ZERO_WIDTH_JOINERS = "\u200c\u200d"
"""Needed in Persian and Indic words and in emoji; anywhere else they are an invisible mistake."""

_A_LABEL = "xn--"


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
