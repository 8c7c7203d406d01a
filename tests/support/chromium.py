"""A real browser: Debian's Chromium, quiet, and what is measured in its pages."""

import os
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest

CHROMIUM = Path("/usr/bin/chromium")
needs_chromium = pytest.mark.skipif(
    not CHROMIUM.exists() and os.environ.get("CI") != "true", reason=f"{CHROMIUM} is not installed"
)
PATIENCE_MS = 120_000
_QUIET = ["--no-sandbox", "--disable-gpu", "--disable-quic", "--no-first-run", "--disable-background-networking"]

CONTRASTS = """() => {
  const parse = (text) => { const p = text.match(/[\\d.]+/g).map(Number); return p.length < 4 ? [...p, 1] : p; };
  const light = ([r, g, b]) => [r, g, b].map(v => v / 255).map(v => v <= 0.04045 ? v / 12.92 : ((v + 0.055) / 1.055) ** 2.4)
    .reduce((sum, v, i) => sum + v * [0.2126, 0.7152, 0.0722][i], 0);
  const behind = (node) => { for (let n = node; n; n = n.parentElement) {
    const c = parse(getComputedStyle(n).backgroundColor); if (c[3] === 1) return c; } return [255, 255, 255, 1]; };
  const found = [];
  const walker = document.createTreeWalker(document.body, NodeFilter.SHOW_TEXT);
  while (walker.nextNode()) {
    const node = walker.currentNode.parentElement;
    if (!walker.currentNode.data.trim() || ["TITLE", "DESC", "STYLE", "title", "desc"].includes(node.tagName)) continue;
    const style = getComputedStyle(node);
    const [a, b] = [light(parse(node.closest("svg") ? style.fill : style.color)), light(behind(node))];
    found.push([(Math.max(a, b) + 0.05) / (Math.min(a, b) + 0.05), walker.currentNode.data.trim().slice(0, 40)]);
  }
  return found;
}"""
"""The contrast of each text of a page to what is behind it, with its first characters."""

UNHANDY = """() => [...document.querySelectorAll(
  "button, select, summary, input:not([type=hidden], [type=radio]), .filter label, nav[aria-label=Reports] a, .days th a"
)].filter(one => one.checkVisibility()).map(one => [one.getBoundingClientRect().height, one]).filter(
  ([height, one]) => height < 39.5 || (height > 60 && one.tagName === "A" && !one.querySelector("bdi"))
).map(([height, one]) => [height, one.tagName, one.textContent.trim().slice(0, 40)])"""
"""What is lower than a thumb needs (40 pixels), and links of a word or two that are broken into several lines."""


class Browser:
    """A browser whose pages have more time for everything than Playwright's 30 s: a busy machine is no fault."""

    def __init__(self, opened: Any) -> None:
        self._opened = opened

    def new_page(self, **options: Any) -> Any:
        page = self._opened.new_page(**options)
        page.set_default_timeout(PATIENCE_MS)
        return page


@contextmanager
def chromium(*arguments: str) -> Iterator[Browser]:
    """Yield a browser that was started with these arguments too."""
    from playwright.sync_api import sync_playwright

    with sync_playwright() as playwright:
        opened = playwright.chromium.launch(
            executable_path=str(CHROMIUM), args=[*_QUIET, *arguments], timeout=PATIENCE_MS
        )
        yield Browser(opened)
        opened.close()
