"""The page is keyed by messages that the code really says."""

from __future__ import annotations

import ast
import re
from collections.abc import Iterator
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
PAGE = ROOT / "docs" / "troubleshooting.md"
HEADINGS = re.findall(r"(?m)^### `(.+)`$", PAGE.read_text(encoding="utf-8"))


def said(source: str) -> Iterator[str]:
    """The texts in a module; ``…`` where a value is filled in."""
    for node in ast.walk(ast.parse(source)):
        if isinstance(node, ast.JoinedStr):
            yield "".join(str(p.value) if isinstance(p, ast.Constant) else "…" for p in node.values)
        elif isinstance(node, ast.Constant) and isinstance(node.value, str):
            yield node.value


@pytest.fixture(scope="module")
def texts() -> list[str]:
    modules = (ROOT / "src").rglob("*.py")
    return [text for module in modules for text in said(module.read_text(encoding="utf-8"))]


@pytest.mark.parametrize("heading", HEADINGS)
def test_the_code_says_it(heading: str, texts: list[str]):
    parts = [part.strip() for part in heading.split("…") if part.strip(" :;,")]
    assert any(all(part in text for part in parts) for text in texts)
