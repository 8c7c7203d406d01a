"""What may be a target, in which spelling, and its name as a Dagster partition."""

from urllib.parse import unquote_to_bytes

import dagster as dg
import pytest
from hypothesis import example, given, strategies as st

from backlinks_assets.targets.name import NotATarget, is_reserved_example, normalise, partition_key

KEPT = {
    "a domain": ("example.com", "example.com"),
    "case": ("Blog.Example.COM", "blog.example.com"),
    "spaces around it": ("  example.com\u00a0", "example.com"),
    "www": ("www.example.com", "example.com"),
    "www twice": ("www.www.example.com", "example.com"),
    "a domain that is called www": ("www.com", "www.com"),
    "www under a public suffix": ("www.gov.uk", "www.gov.uk"),
    "a trailing dot": ("example.com.", "example.com"),
    "an international name": ("www.München.de", "xn--mnchen-3ya.de"),
    "its punycode": ("XN--MNCHEN-3YA.de", "xn--mnchen-3ya.de"),
    "a sharp s, which is no double s since IDNA 2008": ("faß.de", "xn--fa-hia.de"),
    "full-width letters and dots": ("ｅxample。com", "example.com"),
    "an international top-level domain": ("пример.рф", "xn--e1afmkfd.xn--p1ai"),
    "an underscore in a subdomain": ("_dmarc.my_app.example.co.uk", "_dmarc.my_app.example.co.uk"),
    "hyphens where only xn-- has them": ("r3---sn-x.googlevideo.com", "r3---sn-x.googlevideo.com"),
    "a name for examples": ("shop.example", "shop.example"),
    "a private suffix is a domain": ("github.io", "github.io"),
    "a home page": ("https://Example.com", "https://example.com/"),
    "a page keeps www": ("HTTP://WWW.example.com/A", "http://www.example.com/A"),
    "a default port": ("https://example.com:443/a", "https://example.com/a"),
    "another port": ("http://example.com:0443/a", "http://example.com:443/a"),
    "a fragment": ("https://example.com/a?b=1#c", "https://example.com/a?b=1"),
    "a query without a path": ("https://example.com?b=1", "https://example.com/?b=1"),
    "a path as written": ("https://example.com/A b|c,d...%7e/ü", "https://example.com/A b|c,d...%7e/ü"),
    "a page's international host": ("https://münchen.de/ü", "https://xn--mnchen-3ya.de/ü"),
    "a space before its fragment": ("https://example.com/a\u00a0#b", "https://example.com/a"),
    "a joiner in a Persian path": ("https://example.com/می\u200cخوانم", "https://example.com/می\u200cخوانم"),
    "an @ in a path": ("https://example.com/@me", "https://example.com/@me"),
}

REFUSED = {
    "empty": ("  ", "is empty"),
    "a space inside": ("exa mple.com", "has a space"),
    "two targets": ("a.com,b.com", "one target a line"),
    "a control character": ("example\x00.com", "control or invisible character (U+0000, at position 8)"),
    "an invisible character": ("example.com\u200b", "U+200B"),
    "a tab in a page": ("https://example.com/a\tb", "U+0009"),
    "half a surrogate pair": ("example\ud800.com", "U+D800"),
    "ftp": ("ftp://example.com/", "is a ftp: address"),
    "mailto": ("mailto:me@example.com", "is a mailto: address"),
    "javascript": ("javascript:alert(1)", "is a javascript: address"),
    "one slash": ("https:/example.com", "begins almost as a page"),
    "backslashes": ("https:\\\\example.com", "begins almost as a page"),
    "no scheme but slashes": ("//example.com/a", "with its scheme and host"),
    "a page without its scheme": (
        "example.com/a",
        "to watch a page, write https://example.com/a; to watch the domain, example.com",
    ),
    "a port": ("example.com:8080", "names a port"),
    "a port of a single name": ("localhost:8080", "is a single name"),
    "a port of an IPv4 address": ("192.0.2.1:80", "is an IP address"),
    "a path of a single name": ("n/a", "is a single name"),
    "a path of a formula": ('=HYPERLINK("http://a.com")', "is not a domain"),
    "a link in Markdown": ("[our shop](https://example.com)", "begins with a bracket"),
    "a script in Markdown": ("[x](javascript:alert(1))", "write its domain or page alone"),
    "a link in angle brackets": ("<https://example.com/>", "begins with a bracket"),
    "a name in brackets": ("(example.com)", "begins with a bracket"),
    "an IPv6 address in brackets": ("[2001:db8::1]:443", "is an IP address"),
    "a port that is none": ("https://example.com:99999/", "not a number from 1 to 65535"),
    "an e-mail address": ("me@example.com", "to watch its domain, write example.com"),
    "a wildcard": ("*.example.com", "write example.com; its subdomains count too"),
    "an IPv4 address": ("192.0.2.1", "is an IP address"),
    "an IPv4 address in full-width digits": ("１.２.３.４", "is an IP address"),
    "a short IPv4 address": ("127.1", "is an IP address"),
    "an IPv6 address": ("2001:db8::1", "is an IP address"),
    "a page on an IPv4 address": ("http://192.0.2.1/", "is an IP address"),
    "a page on an IPv6 address": ("http://[::1]:80/", "is an IP address"),
    "a bare label": ("localhost", "is a single name"),
    "a page on a bare label": ("http://localhost/", "is a single name"),
    "a public suffix": ("co.uk", "is a public suffix"),
    "a suffix of a wildcard rule": ("any.ck", "is a public suffix"),
    "an unknown top-level domain": ("example.con", "top-level domain .con"),
    "a page under one": ("https://example.con/", "top-level domain .con"),
    "a long label": (f"{'a' * 64}.com", "a label of 64 characters"),
    "a label that is long in punycode": (f"{'ü' * 60}.com", "a label of 66 characters"),
    "a long name": (".".join(["a" * 60] * 5) + ".com", "253 characters"),
    "a very long name": ("ü." * 40_000 + "com", "253 characters"),
    "a long page": ("https://example.com/" + "a" * 1981, "2,001 characters"),
    "a page too long for an index when encoded": ("https://example.com/" + "ü" * 500, "3,020 characters"),
    "two dots": ("example..com", "an empty label"),
    "an underscore in the domain": ("my_shop.co.uk", "has an underscore"),
    "a formula": ("=HYPERLINK(1).com", "is not a domain"),
    "a formula's plus": ("+a.com", "is not a domain"),
    "a formula's minus": ("-a.com", "is not a domain"),
    "no host": ("https:///a", "has no host"),
}


@pytest.mark.parametrize(("text", "target"), KEPT.values(), ids=KEPT)
def test_a_target_has_one_spelling(text: str, target: str) -> None:
    assert normalise(text) == target
    assert normalise(target) == target


@pytest.mark.parametrize(("text", "words"), REFUSED.values(), ids=REFUSED)
def test_what_can_be_no_target_is_refused_with_a_sentence_on_one_line(text: str, words: str) -> None:
    with pytest.raises(ValueError) as refusal:  # noqa: PT011 - the words are checked below
        normalise(text)
    assert words in str(refusal.value)
    assert str(refusal.value).endswith(".")
    assert str(refusal.value).isprintable()


@pytest.mark.parametrize(
    "text",
    [
        "https://me:hunter2@example.com/",
        "me:hunter2@example.com",
        "https://me:hunter2/x@example.com/",
        "ftp://me:hunter2@a.com",
    ],
)
def test_a_password_is_refused_and_not_repeated(text: str) -> None:
    with pytest.raises(NotATarget, match=r"holds a user name or password|is a ftp: address") as refusal:
        normalise(text)
    assert "hunter2" not in str(refusal.value)


@pytest.mark.parametrize(
    "text",
    [
        '"me:hunter2@a.com"',
        "«https://me:hunter2@a.com/»",
        "sc-domain:me:hunter2@a.com",
        "https://https://me:hunter2@a.com",
        "[shop](https://me:hunter2@a.com)",
        "view-source:https://me:hunter2@a.com/",
    ],
)
def test_what_is_advised_instead_repeats_no_password(text: str) -> None:
    with pytest.raises(NotATarget) as refusal:
        normalise(text)
    assert "hunter2" not in str(refusal.value)


def decoded(key: str) -> str:
    return unquote_to_bytes(key).decode("utf-8", "surrogatepass")


@given(
    st.text(st.characters(exclude_categories=()), max_size=40)
    | st.from_regex(r"(https?://)?[a-zü_.*:@/?#%,| \-]{1,30}\.com[^\n]*")
)
def test_any_text_is_either_refused_or_normalised_for_good(text: str) -> None:
    try:
        target = normalise(text)
    except NotATarget:
        return
    assert normalise(target) == target
    assert target[0] not in "=+-@#"
    assert decoded(partition_key(target)) == target


def test_only_names_for_examples_are_told_apart() -> None:
    reserved = ["shop.example", "a.b.test", "https://shop.example/a", "https://shop.example:8080/"]
    real = ["example.com", "test.de", "https://example.com/x.example", "https://a.com/?b=.test"]
    assert all(map(is_reserved_example, reserved))
    assert not any(map(is_reserved_example, real))


@given(st.text(st.characters(exclude_categories=()) | st.sampled_from("%|,. a2C"), max_size=60))
@example("a...b....c..d")
@example("%2E%2E%2E\ud800\udc00")
def test_every_target_comes_back_from_its_key(target: str) -> None:
    key = partition_key(target)
    assert decoded(key) == target
    assert key.isascii()
    assert not any(part in key for part in ("|", ",", "...", " ", "\t", "\x00", "\x7f"))


@pytest.mark.parametrize("target", ["example.com", "https://www.example.com/a-b_c/d..e?f=1&g=~h"])
def test_a_plain_target_is_its_own_key(target: str) -> None:
    assert partition_key(target) == target


def test_dagster_keeps_the_key_of_every_kind_of_page() -> None:
    """Dagster drops a key with a `|` from a two-dimensional partitioning without a word."""
    targets = ["example.com", "https://example.com/a|b,c d...e....f%20g", "https://example.com/ü%"]
    keys = [partition_key(target) for target in targets]
    days = dg.DailyPartitionsDefinition("2026-11-23", end_date="2026-11-24")
    names = dg.DynamicPartitionsDefinition(name="targets")
    both = dg.MultiPartitionsDefinition({"date": days, "target": names})
    with dg.DagsterInstance.ephemeral() as instance:
        instance.add_dynamic_partitions("targets", keys)
        with dg.partition_loading_context(dynamic_partitions_store=instance):
            found = [key for key in both.get_partition_keys() if isinstance(key, dg.MultiPartitionKey)]
            assert both.has_partition_key(f"2026-11-23|{keys[1]}")
    assert [decoded(key.keys_by_dimension["target"]) for key in found] == targets
    assert both.get_partition_key_from_str(str(found[1])) == found[1]
