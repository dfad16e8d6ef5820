"""JUnit files, joined."""

from __future__ import annotations

from pathlib import Path
from xml.etree import ElementTree

import pytest

from pytest_slipstream.errors import SlipstreamError
from pytest_slipstream.merging import junit

PYTEST = """\
<?xml version="1.0" encoding="utf-8"?>
<testsuites name="pytest tests"><testsuite name="pytest" errors="1" failures="1" skipped="0"
 tests="3" time="1.250" hostname="{host}"><properties>
<property name="arch" value="PPC" /></properties>
<testcase classname="tests.test_a" name="test_fails" time="1.0"><failure message="a &lt; b">
text &amp; more</failure></testcase><testcase classname="tests.test_a" name="test_errs" time="0.2">
<failure message="x" /><error message="y" /></testcase>
<testcase classname="tests.test_a" name="test_ok[é]" time="0.05" /></testsuite></testsuites>
"""
OTHER = '<testsuite name="other"><testcase name="alone"><skipped /></testcase></testsuite>'


@pytest.fixture
def files(tmp_path: Path) -> list[Path]:
    texts = [PYTEST.format(host="one"), PYTEST.format(host="two"), OTHER]
    paths = [tmp_path / f"{n}.xml" for n in range(3)]
    for path, text in zip(paths, texts, strict=True):
        path.write_text(text, encoding="utf-8")
    return paths


def test_nothing_is_lost_and_the_sums_are_of_all(files):
    root = ElementTree.fromstring(junit.encode(junit.joined(files)))
    assert root.attrib == {
        "tests": "7", "failures": "2", "errors": "2", "skipped": "1", "time": "2.500",
    }  # fmt: skip
    assert [suite.get("hostname") for suite in root] == ["one", "two", None]
    for file, suite in zip(files, root, strict=True):
        written = ElementTree.parse(file).getroot()
        before = written if written.tag == "testsuite" else written[0]
        assert ElementTree.canonicalize(ElementTree.tostring(suite)) == ElementTree.canonicalize(
            ElementTree.tostring(before)
        )


def test_a_name_that_all_have_is_kept(files):
    assert junit.joined(files[:2]).get("name") == "pytest tests"


def test_a_test_that_failed_and_had_an_error_is_named_once(files):
    assert list(junit.failed(junit.joined(files[:1]))) == [
        "tests.test_a::test_fails",
        "tests.test_a::test_errs",
    ]


@pytest.mark.parametrize(
    ("text", "said"),
    [
        (PYTEST[:300], "cannot be read: "),
        ("<coverage/>", "begins with <coverage>, not <testsuites>"),
        ("", "cannot be read: no element found"),
    ],
)
def test_a_file_that_is_torn_or_something_else_is_an_error(tmp_path, text, said):
    file = tmp_path / "junit.xml"
    file.write_text(text)
    with pytest.raises(SlipstreamError, match="the JUnit file ") as caught:
        junit.joined([file])
    assert said in caught.value.message


def test_a_time_that_is_no_number_of_python_s_is_read_or_passed_over(tmp_path):
    file = tmp_path / "junit.xml"
    file.write_text('<testsuites><testsuite time="1,234.5"/><testsuite time="n/a"/></testsuites>')
    assert junit.joined([file]).get("time") == "1234.500"
