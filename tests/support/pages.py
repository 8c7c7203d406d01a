"""The README and the docs as pages: their blocks of code, each of a kind, and what stands within the text as code."""

import re
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
PAGES = [ROOT / "README.md", *sorted((ROOT / "docs").rglob("*.md"))]
README = (ROOT / "README.md").read_text(encoding="utf-8")


@dataclass(frozen=True)
class Block:
    """One fenced block of a page, without its indentation; `line` is where it begins."""

    page: Path
    line: int
    language: str
    text: str

    @property
    def commands(self) -> list[str]:
        """The lines of a shell block, without what stands behind a #."""
        return [line for line in (re.sub(r"\s+#.*", "", line).strip() for line in self.text.splitlines()) if line]

    def __str__(self) -> str:
        return f"{self.page.name}:{self.line}"


def blocks_of(page: Path) -> list[Block]:
    text = page.read_text(encoding="utf-8")
    found = re.finditer(r"^( *)```([^\n`]*)\n(.*?)^\1```$", text, re.MULTILINE | re.DOTALL)
    return [
        Block(
            page,
            text.count("\n", 0, match.start()) + 1,
            match[2],
            re.sub(rf"^{match[1]}", "", match[3], flags=re.MULTILINE),
        )
        for match in found
    ]


BLOCKS = [block for page in PAGES for block in blocks_of(page)]

SHELL: dict[str, Callable[[str], object]] = {
    "account": re.compile(r"\.venv/bin/backlinks (run|flags|doctor|targets|backtest)\b").match,
    "incidents": re.compile(r"\.venv/bin/backlinks incidents ").match,
    "announce": re.compile(r"\.venv/bin/backlinks announce --test$").match,
    "make": re.compile(r"make [a-z-]+$").match,
    "apprise": re.compile(r"\.venv/bin/apprise ").match,
    "services": re.compile(r"(sudo|cd /opt|docker|pg_dump|pg_restore|sqlite3|cp deploy/) ?").match,
    "dagster dev": re.compile(r'DAGSTER_HOME="\$PWD" \.venv/bin/dagster dev ').match,
}
"""Kinds of shell commands; each has a test in docs/."""

ENVIRONMENT = {"env", "ini", "dotenv"}
PICTURES = {"targets.csv ─▶": "assets", "backlinks_assets/\n": "map"}
"""How blocks of no language begin, and what each draws; each has a test in docs/."""


def kind_of(block: Block) -> str:
    """Return the kind of a block, by which the tests choose theirs; fails for a block that none of them runs."""
    if block.language == "python" and "s3://" in block.text:
        return "published"
    if block.language in {"sql", "python"}:
        return block.language
    if block.language in {"toml", "nginx"}:
        return {"toml": "channels", "nginx": "proxy"}[block.language]
    if block.language in ENVIRONMENT:
        return "environment"
    if block.language == "sh":
        kinds = {kind for line in block.commands for kind, matches in SHELL.items() if matches(line)}
        known = all(any(matches(line) for matches in SHELL.values()) for line in block.commands)
        if known and len(kinds) == 1:
            return kinds.pop()
    if block.language == "":
        for start, kind in PICTURES.items():
            if block.text.startswith(start):
                return kind
    raise AssertionError(
        f"{block}: no test runs this block ({block.language or 'no language'}). Give it a kind in pages.py, and the "
        "kind a test that runs it."
    )


def of_kind(kind: str) -> list[Block]:
    found = []
    for block in BLOCKS:
        try:
            if kind_of(block) == kind:
                found.append(block)
        except AssertionError:  # told by the test of that
            continue
    return found


def blocks(kind: str) -> pytest.MarkDecorator:
    return pytest.mark.parametrize("block", of_kind(kind), ids=str)


def code_of(page: Path) -> str:
    """Return what a page shows as code: blocks and inline."""
    return "\n".join([*(block.text for block in blocks_of(page)), *inline(page)])


def inline(page: Path) -> list[str]:
    text = re.sub(r"^ *```.*?^ *```$", "", page.read_text(encoding="utf-8"), flags=re.MULTILINE | re.DOTALL)
    return re.findall(r"`([^`\n]+)`", text)
