"""The file: whole, sorted, small, and never lost because it could not be read."""

from __future__ import annotations

import difflib
import json
import random
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from pytest_slipstream.errors import SlipstreamError
from pytest_slipstream.scheduling import history_file
from pytest_slipstream.scheduling.durations import EPOCH, History, recorded, sample

TEXTS = st.text(st.characters(exclude_categories=["Cs"]))
MEASURED = st.builds(sample, st.just(EPOCH + 600), st.tuples(*[st.floats(0, 1000)] * 3).map(tuple))


@given(tests=st.dictionaries(TEXTS, MEASURED), fixtures=st.dictionaries(TEXTS, MEASURED))
@settings(max_examples=50)
def test_what_is_written_is_read(tmp_path_factory, tests, fixtures):
    path = tmp_path_factory.getbasetemp() / "written.json"
    history = recorded(History(), "m", tests, fixtures)
    history_file.write(path, history)
    assert history_file.read(path) == history
    json.loads(path.read_bytes())


def test_no_file_is_an_empty_history(tmp_path: Path):
    assert history_file.read(tmp_path / "none.json") == History()


@pytest.mark.parametrize(
    ("content", "said"),
    [
        ("", "is not one"),
        ("<<<<<<< HEAD\n{", "is not one"),
        ("[]", "is not one"),
        ('{"tests/a.py::b": 1.5}', "is not one"),
        ('{"version": 1, "machines": {"m": {"tests": {"a": {"b": [[1, "x"]]}}}}}', "is not one"),
        ('{"version": 1, "machines": {}, "more": 1}', "is not one"),
        ('{"version": 2, "machines": []}', "has version 2, and this slipstream reads 1"),
        (b'{"version": 1, "machines": {"\xff": {}}}', "is not one"),
    ],
)
def test_what_cannot_be_read_is_named(tmp_path: Path, content, said):
    path = tmp_path / "durations.json"
    path.write_bytes(content if isinstance(content, bytes) else content.encode())
    with pytest.raises(SlipstreamError) as caught:
        history_file.read(path)
    assert said in str(caught.value)
    assert caught.value.hint


def test_a_directory_in_its_place_is_named(tmp_path: Path):
    with pytest.raises(SlipstreamError, match="cannot be read: Is a directory"):
        history_file.read(tmp_path)


def test_writing_leaves_nothing_else(tmp_path: Path):
    history_file.write(tmp_path / "new" / "durations.json", History())
    assert [path.name for path in (tmp_path / "new").iterdir()] == ["durations.json"]


def test_a_test_that_changed_is_one_changed_line():
    one, other = sample(EPOCH, (0, 1, 0)), sample(EPOCH + 60, (0, 2, 0))
    before = recorded(History(), "m", {f"a.py::test_{n}": one for n in range(50)}, {})
    lines = [
        history_file.encode(history).decode().splitlines()
        for history in (before, recorded(before, "m", {"a.py::test_7": other}, {}))
    ]
    changed = [line for line in difflib.ndiff(*lines) if line.startswith(("+", "-"))]
    assert changed == ['- "test_7":[[0,1000]],', '+ "test_7":[[0,1000],[1,2000]],']


def test_a_hundred_thousand_tests_fit_into_10_mb():
    chance = random.Random(0)
    usual = {
        f"tests/area_{n // 40 % 30}/test_module_{n // 40}.py::TestThing{n // 10 % 4}"
        f"::test_does_what_it_says[{n % 10}-value]": chance.lognormvariate(-5, 1.5)
        for n in range(20_000)
    }
    history = History()
    for run in range(8):
        at = EPOCH + 1e8 + 86_400 * run
        taken = {
            name: sample(at, (0.0003, seconds * chance.lognormvariate(0, 0.35), 0.0002))
            for name, seconds in usual.items()
        }
        history = recorded(history, "linux-x86_64-2", taken, {})
    assert 5 * len(history_file.encode(history)) < 10e6
