"""What may be watched (a domain, a subdomain or a page), its one spelling, and its partition key.

The rules for a single target's text; the file that lists targets is `file.py`. Nothing is fetched: the public suffixes are
tldextract's bundled list.
"""

import ipaddress
import re
import unicodedata

from backlinks_assets.formatting import shown, without_password
from backlinks_assets.host import RESERVED_EXAMPLES, ZERO_WIDTH_JOINERS, ascii_host, public_suffixes

MAX_PAGE_CHARACTERS = 2000
MAX_DOMAIN_CHARACTERS = 253
"""RFC 1035's 255 octets, without the length byte and the root."""

MAX_LABEL_CHARACTERS = 63

MAX_KEY_CHARACTERS = 2500
"""Of a partition key: Dagster indexes keys, and Postgres refuses index entries above 2,704 bytes."""

MAX_PORT = 65535

_SPACES = " \t\r\n\u00a0\u3000"
_INVISIBLE = frozenset({"Cc", "Cf", "Cs", "Zl", "Zp"})

_PAGE = re.compile(r"(https?)://", re.IGNORECASE)
_MISSPELT_SCHEME = re.compile(r"https?([:;]?[/\\]|[:;])", re.IGNORECASE)
_OTHER_SCHEME = re.compile(r"([a-z][a-z0-9+.-]*)://|([a-z][a-z0-9+-]*):(?!\d*(?:[/?#]|$))", re.IGNORECASE)
_SEARCH_CONSOLE = re.compile(r"sc-domain:\s*([^/\s]*)/?", re.IGNORECASE)
_QUOTES = "\"'`´“”„‟‘’‚«»‹›"
_BRACKETED_IP = re.compile(r"\[[0-9a-f:.]*(%[^\]]*)?(\]|$)", re.IGNORECASE)
_ENDS_IN_A_NUMBER = re.compile(r"(?:.*\.)?(?:\d+|0x[0-9a-f]*)")
_LABEL = re.compile(r"[a-z0-9_][a-z0-9_-]*")  # `shop-.example.com` is in use
_NO_CREDENTIALS = "holds a user name or password: leave it out; only public pages are in the index."
_DEFAULT_PORTS = {"http": 80, "https": 443}


class NotATarget(ValueError):  # noqa: N818 - reads as a sentence where it is raised and caught
    """A text that can't be a target. The text and `reason` make one sentence."""

    def __init__(self, text: str, reason: str) -> None:
        super().__init__(text, reason)
        self.reason = reason

    def __str__(self) -> str:
        return f"{shown(self.args[0])} {self.reason}"


def normalise(text: str) -> str:
    """Return the one spelling of a target: `example.com`, `blog.example.com`, `https://www.example.com/a?b`.

    A domain or subdomain is lower-cased, its internationalised labels made punycode (`ascii_host`), leading `www.`
    and a trailing dot dropped; `www.` stays where nothing that can be registered is left without it, as in
    `www.com`. A page has its scheme and host spelt the same way (`www.` stays: it is another page), no
    default port, no fragment, and its path and query exactly as written. Twice changes nothing more.

    Raises:
        NotATarget: a `ValueError` that says what is wrong with the text and what to write.
    """
    wanted = text.strip(_SPACES)
    try:
        if not wanted:
            raise ValueError("is empty: a target is a domain, as example.com, or a page, as https://example.com/path.")
        _refuse_invisible(wanted)
        _refuse_wrapped(wanted)
        return _page(wanted) if _PAGE.match(wanted) else _domain(wanted)
    except ValueError as error:
        raise NotATarget(wanted, str(error)) from None


def normalised_or_none(text: str) -> str | None:
    """Return the spelling of a target, None for a text that can't be one."""
    try:
        return normalise(text)
    except NotATarget:
        return None


def is_reserved_example(target: str) -> bool:
    """Whether a normalised target is under `.example` or `.test`, where no real site can be."""
    host = re.split(r"[/:?]", _PAGE.sub("", target), maxsplit=1)[0]
    return host.rpartition(".")[2] in RESERVED_EXAMPLES


def partition_key(target: str) -> str:
    """Return a target's partition key in Dagster: the target itself, for a domain and for most pages.

    Dagster silently drops a key with `|` from a two-dimensional partitioning, and its UI gives `...`, `,` and spaces a
    meaning. Those, `%`, and all but visible ASCII are percent-encoded (UTF-8, upper-case digits), so that
    different targets always have different keys.
    """

    def percent(match: re.Match[str]) -> str:
        return "".join(f"%{byte:02X}" for byte in match.group().encode("utf-8", "surrogatepass"))

    return re.sub(r"\.{3,}|[%|,]|[^\x21-\x7e]", percent, target)


def _refuse_invisible(text: str) -> None:
    if text.isascii() and text.isprintable():
        return
    for position, character in enumerate(text, 1):
        if unicodedata.category(character) in _INVISIBLE and character not in ZERO_WIDTH_JOINERS:
            raise ValueError(
                f"holds a control or invisible character (U+{ord(character):04X}, at position {position}): "
                "delete it, or percent-encode it if it is part of a page's address."
            )


def _refuse_wrapped(text: str) -> None:
    """Refuse a text in brackets or quotation marks. A page may end in one."""
    if text[0] in "<({" or (text[0] == "[" and not _BRACKETED_IP.match(text)):
        raise ValueError("begins with a bracket, as a link in a text does: write its domain or page alone.")
    if text[0] in _QUOTES or (text[-1] in _QUOTES and not _PAGE.match(text)):
        bare = without_password(text.strip(_QUOTES + _SPACES)) or "example.com"
        raise ValueError(f"stands in quotation marks: write {bare} without them.")


def _domain(text: str) -> str:
    """Return a domain's one spelling. Each other thing that people write has its own message."""
    _refuse_other_schemes(text)
    host = re.split(r"[/?#\\]", text, maxsplit=1)[0]
    if not host:
        raise ValueError(
            "begins with a slash or mark: write a page with its scheme and host, https://example.com/path."
        )
    _refuse_what_is_no_host(host)
    _refuse_ipv6(host)
    domain = _host(host.partition(":")[0], drop_www=True)  # first, so that no advice would be refused
    if len(host) < len(text):
        raise ValueError(
            f"has a path but no scheme: to watch a page, write https://{text}; to watch the domain, {domain}."
        )
    if ":" in host:
        raise ValueError(f"names a port, which a domain does not have: write {domain}.")
    return domain


def _refuse_other_schemes(text: str) -> None:
    if property_of := _SEARCH_CONSOLE.fullmatch(text):
        bare = without_password(property_of[1]) or "example.com"
        raise ValueError(f"is how the Search Console names a domain: write {bare}.")
    if _MISSPELT_SCHEME.match(text):
        raise ValueError("begins almost as a page does: a page is written with http:// or https://, slashes and all.")
    if scheme := _OTHER_SCHEME.match(text):
        name = (scheme[1] or scheme[2]).lower()
        # user:password@host looks like a scheme too; what stands before the colon could be a secret
        if "@" not in text or name == "mailto" or scheme[1]:
            raise ValueError(f"is a {name}: address: only http:// and https:// pages, and domains, can be watched.")


def _refuse_what_is_no_host(host: str) -> None:
    if "@" in host:
        before, _, after = host.rpartition("@")
        if ":" in before:
            raise ValueError(_NO_CREDENTIALS)
        raise ValueError(f"is an e-mail address or handle: to watch its domain, write {after or 'example.com'}.")
    if any(character.isspace() for character in host):
        raise ValueError("has a space in it: a domain has none. Write one target a line.")
    if "*" in host:
        bare = host.replace("*", "").strip(".") or "example.com"
        raise ValueError(f"is a wildcard: write {bare}; its subdomains count too, unless include_subdomains is false.")
    if separator := re.search(r"[,;|]", host):
        raise ValueError(f"holds {separator[0]!r}, as no domain does: write one target a line.")


def _page(text: str) -> str:
    scheme, rest = text.split("://", 1)
    scheme = scheme.lower()
    if _MISSPELT_SCHEME.match(rest):
        once = without_password(rest) if _PAGE.match(rest) else "https://example.com/path"
        raise ValueError(f"has its scheme twice: write {once}.")
    if re.search(r"\s(https?)://", rest):
        raise ValueError("holds more than one address: write one target a line.")
    authority = re.split(r"[/?#]", rest, maxsplit=1)[0]
    if "@" in authority:
        raise ValueError(_NO_CREDENTIALS)
    if not authority:
        raise ValueError("has no host: write it as https://example.com/path.")
    _refuse_ipv6(authority)
    name, _, port = authority.partition(":")
    if "@" in rest and port and not port.isdecimal():  # https://user:pass/word@host: its host ends at the slash
        raise ValueError(_NO_CREDENTIALS)
    if any(character.isspace() for character in authority):
        raise ValueError("has a space in its host name: a host has none.")
    host = _host(name, drop_www=False)
    if port:
        if not re.fullmatch(r"[0-9]{1,6}", port) or not 1 <= int(port) <= MAX_PORT:
            raise ValueError(f"has a port that is not a number from 1 to {MAX_PORT}: correct it, or leave it out.")
        host += "" if int(port) == _DEFAULT_PORTS[scheme] else f":{int(port)}"
    path = rest[len(authority) :].partition("#")[0].rstrip(_SPACES)
    page = f"{scheme}://{host}{path if path.startswith('/') else '/' + path}"
    if len(page) > MAX_PAGE_CHARACTERS:
        raise ValueError(f"has {len(page):,} characters: a page may have {MAX_PAGE_CHARACTERS:,} at most.")
    if (length := len(partition_key(page))) > MAX_KEY_CHARACTERS:
        raise ValueError(
            f"has {length:,} characters once percent-encoded, as its partition is named: "
            f"{MAX_KEY_CHARACTERS:,} at most fit a database's index."
        )
    return page


def _host(name: str, *, drop_www: bool) -> str:
    """Return a host name in lower-case ASCII, checked label by label and against the public suffixes."""
    # Punycode only makes labels longer, so a longer text never fits; and mapping a long one takes time.
    if len(name) > MAX_DOMAIN_CHARACTERS + 1:
        raise ValueError(f"is too long: a domain name has {MAX_DOMAIN_CHARACTERS} characters at most.")
    host = ascii_host(name).removesuffix(".")
    labels = host.split(".")
    if not all(labels):
        raise ValueError("has an empty label: a dot at its start, or two dots in a row.")
    if (longest := max(map(len, labels))) > MAX_LABEL_CHARACTERS:
        raise ValueError(f"has a label of {longest} characters: between dots, {MAX_LABEL_CHARACTERS} are allowed.")
    if wrong := [label for label in labels if not _LABEL.fullmatch(label)]:
        raise ValueError(f"is not a domain: its label {shown(wrong[0])} may hold letters, digits and, inside, hyphens.")
    if _ENDS_IN_A_NUMBER.fullmatch(host):
        raise ValueError("is an IP address or ends in a number: watch the domain that is served there.")
    if len(labels) == 1:
        raise ValueError(f"is a single name: a domain has a dot in it, as {host}.com.")
    if len(host) > MAX_DOMAIN_CHARACTERS:
        raise ValueError(f"is too long: a domain name has {MAX_DOMAIN_CHARACTERS} characters at most, in punycode.")
    suffix_labels = _suffix_labels(labels)
    if suffix_labels == len(labels):
        raise ValueError(
            f"is a public suffix, under which domains are registered, and no site: write a domain, as "
            f"example.{host} (or the host, as www.{host}, where there is one)."
        )
    for label in labels[-suffix_labels - 1 :]:
        if "_" in label or label.endswith("-"):
            mark = "an underscore" if "_" in label else "a hyphen at the end of a label"
            raise ValueError(f"has {mark} in its domain name: only the labels of a subdomain may have one.")
    # Each of them, so that normalising twice changes nothing.
    while drop_www and labels[0] == "www" and len(labels) - 1 > suffix_labels:
        del labels[0]
    return ".".join(labels)


def _refuse_ipv6(host: str) -> None:
    """Refuse an IPv6 address, in brackets or bare: its colons don't begin a port."""
    try:
        ipaddress.IPv6Address(host.partition("]")[0].removeprefix("["))
    except ValueError:
        if not host.startswith("["):
            return
    raise ValueError("is an IP address: watch the domain that is served there.")


def _suffix_labels(labels: list[str]) -> int:
    """Return how many of a host's labels are its public suffix, for instance 2 of `www.bbc.co.uk`."""
    if labels[-1] in RESERVED_EXAMPLES:
        return 1
    suffix: str = public_suffixes().extract_str(".".join(labels)).suffix
    if not suffix:
        raise ValueError(
            f"has the top-level domain .{labels[-1]}, which is not in the public list: correct it. If it is "
            "real and new, upgrade the tldextract package, which brings the list."
        )
    return suffix.count(".") + 1
