"""docs/reliability.md: each test that a promise names is there."""

import ast
import re
from pathlib import Path

import pytest

TESTS = Path(__file__).parents[1]
PAGE = TESTS.parent / "docs/reliability.md"
NAMED = re.findall(r"`(test_\w+\.py)::(test_\w+)`", PAGE.read_text(encoding="utf-8"))


def functions_of(file: str) -> set[str]:
    tree = ast.parse(next(TESTS.glob(f"*/{file}")).read_text(encoding="utf-8"))
    return {node.name for node in ast.walk(tree) if isinstance(node, ast.FunctionDef)}


@pytest.mark.parametrize(("file", "test"), NAMED)
def test_a_promise_names_a_test_that_is_there(file: str, test: str) -> None:
    assert test in functions_of(file)


def test_every_promise_names_a_test() -> None:
    promises, _, _ = PAGE.read_text(encoding="utf-8").partition("## What can't be promised")
    texts = re.split(r"^- ", promises, flags=re.MULTILINE)[1:]
    assert len(texts) > 15
    assert [text for text in texts if "::" not in text] == []
