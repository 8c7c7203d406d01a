"""Names that DNS holds and registries sell, whatever IDNA 2008 leaves out; and spellings that mean one target."""

import itertools
import subprocess
import sys

import pytest
from hypothesis import given, strategies as st

from backlinks_assets.dataforseo.spelling import normal_form
from backlinks_assets.targets.name import NotATarget, normalise

REGISTERED = {
    "an emoji": ("i❤.ws", "xn--i-7iq.ws"),
    "the same as a phone types it": ("i❤\ufe0f.ws", "xn--i-7iq.ws"),
    "an emoji above the first plane": ("😻.to", "xn--238h.to"),
    "several": ("👁👄👁.fm", "xn--mp8hai.fm"),
    "a skin tone": ("👍🏽.ws", "xn--on8h5e.ws"),
    "a family of joined emoji": ("👨\u200d👩\u200d👧.ws", "xn--1uga80807abag.ws"),
    "a joined emoji with a skin tone": ("👩🏽\u200d💻.ws", "xn--1ug6145pija4k.ws"),
    "a joined emoji with a style": ("❤\ufe0f\u200d🔥.to", "xn--1ug010ai253b.to"),
    "a flag": ("🇩🇪.ws", "xn--h77hc.ws"),
    "a keycap": ("1\ufe0f\u20e3.ws", "xn--1-2sn.ws"),
    "an older symbol": ("☃.net", "xn--n3h.net"),
    "a subdomain of one": ("blog.I❤.ws", "blog.xn--i-7iq.ws"),
    "a page of one": ("https://i❤.ws/❤", "https://xn--i-7iq.ws/❤"),
    "letters of two scripts": ("pаypal.com", "xn--pypal-4ve.com"),
    "both directions of writing": ("aא.com", "xn--a-0hc.com"),
    "a sharp s": ("straße.de", "xn--strae-oqa.de"),
    "a joiner that Persian needs": ("نامه\u200cای.com", "xn--mgba3gch31f060k.com"),
}

HELD_BY_DNS = {
    "punycode of nothing": "xn--zzzz99.de",
    "punycode beyond Unicode": "xn--999999999999.com",
    "punycode with a style in it": "xn--i-7iqv272g.ws",
    "an underscore in a page's host": "https://_my_app.example.com/",
    "an underscore at a label's end": "app_.example.com",
    "a hyphen at a label's end": "shop-.tumblr.com",
    "a label of 63": f"{'a' * 63}.com",
}


@pytest.mark.parametrize(("text", "punycode"), REGISTERED.values(), ids=REGISTERED)
def test_a_name_that_is_registered_is_watched_and_both_its_spellings_are_one_target(text: str, punycode: str) -> None:
    assert normalise(text) == punycode
    assert normalise(punycode) == punycode
    assert normalise(f"WWW.{text}" if "://" not in text else text) == punycode
    assert normal_form(text) == normal_form(punycode)


@pytest.mark.parametrize("text", HELD_BY_DNS.values(), ids=HELD_BY_DNS)
def test_a_name_that_dns_can_hold_is_watched_as_it_is(text: str) -> None:
    assert normalise(text) == text


REFUSED = {
    "a joiner between letters": ("exa\u200cmple.com", "U+200C) that joins nothing: delete it"),
    "a joiner before a name": ("\u200dexample.com", "U+200D) that joins nothing"),
    "a joiner after an emoji": ("❤\u200d.ws", "U+200D) that joins nothing"),
    "a character that no registry takes": ("a\u2ff0b.com", "write it in punycode"),
    "punycode with other letters in it": ("xn--bücher.de", "write one or the other"),
    "an emoji label too long for DNS": ("😻" * 40 + "a😀" * 10 + ".ws", "a label of"),
    "a hyphen at a domain's end": ("shop-.com", "a hyphen at the end"),
    "a label of 64": (f"www.{'a' * 64}.com", "a label of 64 characters"),
}


@pytest.mark.parametrize(("text", "words"), REFUSED.values(), ids=REFUSED)
def test_what_dns_cannot_hold_or_nobody_meant_is_refused(text: str, words: str) -> None:
    with pytest.raises(NotATarget) as refusal:
        normalise(text)
    assert words in str(refusal.value)


ONE_TARGET = {
    "an international name": ["bücher.de", "xn--bcher-kva.de", "BÜCHER.de", "www.bücher.de.", "XN--BCHER-KVA.DE"],
    "an emoji": ["i❤.ws", "i❤\ufe0f.ws", "xn--i-7iq.ws"],
    "www": ["https://www.example.com/a", "https://example.com/a", "https://WWW.EXAMPLE.com/a"],
    "a home page": ["https://example.com", "https://example.com/", "https://example.com:443/#top", "HTTPS://example.com?"],
    "a slash at the end": ["https://example.com/a/b", "https://example.com/a/b/", "https://example.com/A/b"],
    "a slash before a query": ["http://example.com/a?b=1", "http://example.com:80/a/?b=1"],
    "percent-encoding": ["https://example.com/%7Eann/ü%20x", "https://example.com/~ann/%c3%bc x", "https://example.com/%7eann/%C3%9C%20x"],
    "encoded in the query": ["https://example.com/?q=%C3%A9%2f", "https://example.com/?q=é%2F", "https://example.com?q=e\u0301%2f"],
    "what a link may not hold as it is": ["https://example.com/|{x}^`\"<>\\[1]", "https://example.com/%7C%7Bx%7D%5E%60%22%3C%3E%5C%5B1%5D"],
    "what a browser leaves and a library encodes": ["https://example.com/A_(b),c:@!$*;'&=+", "https://example.com/A_%28b%29%2Cc%3A%40%21%24%2A%3B%27%26%3D%2B"],
    "a percent sign that encodes nothing": ["https://example.com/100%/x%zz", "https://example.com/100%25/x%25zz"],
    "a slash in a query": ["https://example.com/?u=a/b?c", "https://example.com/?u=a%2Fb%3fc"],
    "a space in a query": ["https://example.com/?q=a b", "https://example.com/?q=a+b", "https://example.com/?q=a%20b"],
    "a domain's default port": ["example.com", "example.com:443", "EXAMPLE.com:80", "example.com:"],
    "zeros before a port": ["http://example.com:8080/a", "http://example.com:08080/a"],
    "an international page": ["https://www.bücher.de/a", "https://xn--bcher-kva.de/a/"],
}  # fmt: skip

OTHERS = [
    ("example.com", "blog.example.com"),
    ("example.com", "https://example.com/"),
    ("http://example.com/", "https://example.com/"),
    ("https://example.com/a", "https://example.com/b"),
    ("https://example.com/a%2Fb", "https://example.com/a/b"),
    ("https://example.com/a%3Fb", "https://example.com/a?b"),
    ("https://example.com/?a=1", "https://example.com/?a=2"),
    ("https://example.com/?a=1%26b", "https://example.com/?a=1&b"),
    ("https://example.com/?a%2Bb", "https://example.com/?a+b"),
    ("https://example.com/a+b", "https://example.com/a b"),
    ("https://example.com/%2525", "https://example.com/%25"),
    ("example.com", "example.com:8443"),
    ("https://example.com:8443/", "https://example.com/"),
    ("straße.de", "strasse.de"),
    ("www.com", "com"),
]


@pytest.mark.parametrize("spellings", ONE_TARGET.values(), ids=ONE_TARGET)
def test_spellings_of_one_target_have_one_normal_form(spellings: list[str]) -> None:
    for one, other in itertools.pairwise(spellings):
        assert normal_form(one) == normal_form(other)


@pytest.mark.parametrize(("one", "other"), OTHERS)
def test_different_targets_have_different_normal_forms(one: str, other: str) -> None:
    assert normal_form(one) != normal_form(other)


@given(
    st.text(st.characters(exclude_categories=()))
    | st.from_regex(r"(https?://)?(www\.)?[a-zA-Zü❤.-]{1,20}\.(com|de)(:\d+)?([/?#][^\n]*)?")
)
def test_any_text_has_a_normal_form_and_a_target_that_of_its_one_spelling(text: str) -> None:
    compared = normal_form(text)
    try:
        target = normalise(text)
    except NotATarget:
        return
    assert normal_form(target) == compared


def test_a_target_and_its_normal_form_are_compared_without_heavy_packages() -> None:
    heavy = ["dagster", "pandas", "tldextract", "requests", "pydantic"]
    code = (
        f"import sys; from backlinks_assets.dataforseo.spelling import normal_form; normal_form('bücher.de'); "
        f"print([name for name in {heavy} if name in sys.modules])"
    )
    done = subprocess.run([sys.executable, "-B", "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout == "[]\n"
