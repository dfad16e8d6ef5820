"""Every page does what it shows: its blocks make a project, and its commands run in it.

A block whose first line is a comment with a path is a file of the page's project. A ``console``
block's ``$ pytest`` and ``$ slipstream`` lines are run there; each line shown below them must come
in the output, in order, where ``…`` stands for anything, and seconds and rules may differ.
TOML blocks must be valid settings; Python blocks that are no file must run.
"""

from __future__ import annotations

import os
import re
import shlex
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest
from _pytest.pytester import LineMatcher
from sybil import Example, Sybil
from sybil.parsers.markdown import CodeBlockParser

from pytest_slipstream.settings import Settings, load

ROOT = Path(__file__).parents[2]
PAGES = sorted([ROOT / "README.md", *ROOT.glob("docs/**/*.md")])
FILE = re.compile(r"(?:#|--) ([\w./-]+\.(?:py|toml|ini|sql|mako))\n")
FIGURE = re.compile(r"\d+(?:\.\d+)? ?(?=(?:s|ms)\b)|(?<==)=+")
BIN = Path(sys.executable).parent


def evaluate_text(example: Example) -> None:
    """A file, in a language of which nothing else can be checked."""
    assert is_file(example)


def is_file(example: Example) -> bool:
    """Write a block that names its file; tell whether it does."""
    found = FILE.match(example.parsed)
    if found is None:
        return False
    path = example.namespace["project"] / found[1]
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(example.parsed, encoding="utf-8")
    return True


def evaluate_toml(example: Example) -> None:
    """Settings that must be valid, and a file if it says so."""
    is_file(example)
    directory = example.namespace["scratch"]
    (directory / "pyproject.toml").write_text(example.parsed, encoding="utf-8")
    assert load(directory, {}, {}) != Settings()


def evaluate_python(example: Example) -> None:
    """A file, or statements that must run."""
    if not is_file(example):
        exec(compile(example.parsed, example.path, "exec"), example.namespace)


def evaluate_console(example: Example) -> None:
    """Run the commands and compare what they print."""
    for command, shown in commands(example.parsed):
        if shlex.split(command)[0] not in ("pytest", "slipstream"):
            continue
        output, status = run(command, example.namespace["project"])
        expected = [as_pattern(line) for line in shown]
        LineMatcher(output.splitlines()).fnmatch_lines(expected)
        assert status == (1 if any("failed" in line for line in shown) else 0), output


def commands(text: str) -> Iterator[tuple[str, list[str]]]:
    """The commands of a console block, each with the lines shown below it."""
    for part in re.split(r"(?m)^\$ ", text)[1:]:
        command, *shown = part.splitlines()
        yield command, [line for line in shown if line.strip() not in ("", "…")]


def as_pattern(line: str) -> str:
    """A shown line as a pattern for the real one."""
    escaped = re.sub(r"[\[\]?*]", lambda found: f"[{found[0]}]", line)
    return FIGURE.sub("*", escaped).replace("…", "*")


def run(command: str, project: Path) -> tuple[str, int]:
    """Run a command in the page's project, as a user would."""
    environ = {
        name: value
        for name, value in os.environ.items()
        if not name.startswith(("PYTEST_", "COVERAGE", "DATABASE_URL"))
    }
    done = subprocess.run(
        [str(BIN / word) if n == 0 else word for n, word in enumerate(shlex.split(command))],
        cwd=project,
        env=environ | {"PATH": f"{BIN}:{os.environ['PATH']}", "COLUMNS": "100"},
        stdin=subprocess.DEVNULL,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
        timeout=120,
        check=False,
    )
    return done.stdout, done.returncode


SYBIL = Sybil(
    parsers=[
        CodeBlockParser("toml", evaluate_toml),
        CodeBlockParser("ini", evaluate_text),
        CodeBlockParser("sql", evaluate_text),
        CodeBlockParser("mako", evaluate_text),
        CodeBlockParser("python", evaluate_python),
        CodeBlockParser("console", evaluate_console),
    ]
)


@pytest.mark.parametrize("page", PAGES, ids=lambda page: str(page.relative_to(ROOT)))
@pytest.mark.usefixtures("require_servers", "require_mysql")
def test_page(page: Path, short_path: Path, tmp_path: Path):
    document = SYBIL.parse(page)
    document.namespace.update(project=short_path, scratch=tmp_path)
    for example in document.examples():
        example.evaluate()


LINK = re.compile(r"\]\((?!\w+:)([^)#\s]+)(?:#[\w-]+)?\)")


@pytest.mark.parametrize("page", PAGES, ids=lambda page: str(page.relative_to(ROOT)))
def test_links_lead_somewhere(page: Path):
    links = LINK.findall(page.read_text(encoding="utf-8"))
    assert [link for link in links if not (page.parent / link).exists()] == []


def test_the_reference_page_is_current():
    done = subprocess.run(
        [sys.executable, "docs/generate_reference.py", "--check"],
        cwd=ROOT,
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stdout + done.stderr
