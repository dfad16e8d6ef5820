"""JUnit files of many machines as one.

The invariant: every suite is there as its machine wrote it, with its properties; only the sums
are new.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from pathlib import Path
from xml.etree import ElementTree
from xml.etree.ElementTree import Element

from pytest_slipstream.errors import SlipstreamError

_COUNTS = {"tests": "testcase", "failures": "failure", "errors": "error", "skipped": "skipped"}


def joined(files: Iterable[Path]) -> Element:
    """One ``testsuites`` with the suites of all files, in order.

    Raises:
        SlipstreamError: A file is torn, or is something else.
    """
    root = Element("testsuites")
    names = []
    for file in files:
        found = _read(file)
        names.append(found.get("name", ""))
        root.extend([found] if found.tag == "testsuite" else found.findall("testsuite"))
    if names and names[0] and len(set(names)) == 1:
        root.set("name", names[0])
    for attribute, tag in _COUNTS.items():
        root.set(attribute, str(sum(_count(suite, attribute, tag) for suite in root)))
    root.set("time", f"{sum(map(_seconds, root)):.3f}")
    return root


def failed(root: Element) -> Iterator[str]:
    """The tests that failed or had errors, each once."""
    names = dict.fromkeys(
        f"{case.get('file') or case.get('classname', '')}::{case.get('name', '')}"
        for case in root.iter("testcase")
        if case.find("failure") is not None or case.find("error") is not None
    )
    return iter(names)


def encode(root: Element) -> bytes:
    """The file's content."""
    content: bytes = ElementTree.tostring(root, encoding="utf-8", xml_declaration=True)
    return content


def _read(file: Path) -> Element:
    try:
        found = ElementTree.parse(file).getroot()
    except ElementTree.ParseError as error:
        raise SlipstreamError(
            f"the JUnit file {file} cannot be read: {error}",
            hint="a machine that was killed may leave half a file; remove it, or run that shard "
            "again",
        ) from error
    if found.tag not in ("testsuites", "testsuite"):
        raise SlipstreamError(f"the JUnit file {file} begins with <{found.tag}>, not <testsuites>")
    return found


def _seconds(suite: Element) -> float:
    """As the suite says it; other test runners have their own ways to write a number."""
    try:
        return float(suite.get("time", "").replace(",", ""))
    except ValueError:
        return 0.0


def _count(suite: Element, attribute: str, tag: str) -> int:
    """As the suite says it, or by counting."""
    said = suite.get(attribute, "")
    return int(said) if said.isdecimal() else sum(1 for _ in suite.iter(tag))
