"""Measurements on disk, whole or spoilt."""

from __future__ import annotations

import json

import pytest

from measurements import measurement
from pytest_slipstream.errors import ConfigurationError, SlipstreamError
from pytest_slipstream.measure import measurement_file


def test_what_is_written_is_read(tmp_path):
    path = measurement_file.free_path(tmp_path, "before")
    measurement_file.write(path, measurement([1.0, 2.0]))
    assert measurement_file.read(path) == measurement([1.0, 2.0])
    assert json.loads(path.read_text())["version"] == 1
    assert [file.name for file in path.parent.iterdir() if file.suffix != ".json"] == [".gitignore"]


def test_it_is_found_by_name_and_by_path(tmp_path):
    path = measurement_file.free_path(tmp_path, "v1.2-before")
    measurement_file.write(path, measurement())
    assert measurement_file.find(tmp_path, "v1.2-before") == path
    assert measurement_file.find(tmp_path, str(path)) == path
    with pytest.raises(SlipstreamError, match=r"one of v1.2-before in .*\nhint: 'slipstream mea"):
        measurement_file.find(tmp_path, "after")


def test_no_file_is_written_over(tmp_path):
    measurement_file.write(measurement_file.free_path(tmp_path, "a"), measurement())
    with pytest.raises(ConfigurationError, match="there is a measurement a already"):
        measurement_file.free_path(tmp_path, "a")


@pytest.mark.parametrize("name", ["", "../x", "a/b", ".hidden", "ä", "a" * 101, "a b"])
def test_names_that_are_none(tmp_path, name):
    with pytest.raises(ConfigurationError, match="cannot be the name of a measurement"):
        measurement_file.free_path(tmp_path, name)


def test_a_generated_name_is_one(tmp_path):
    assert not measurement_file.free_path(tmp_path, measurement_file.new_name()).exists()


def test_a_file_cut_short_anywhere(tmp_path):
    path = tmp_path / "a.json"
    measurement_file.write(path, measurement())
    whole = path.read_bytes()
    for size in range(0, len(whole) - 2, 41):
        path.write_bytes(whole[:size])
        with pytest.raises(SlipstreamError, match="is not one, or was cut short"):
            measurement_file.read(path)


@pytest.mark.parametrize(
    "changed", [{"runs": []}, {"runs": "many"}, {"unknown": 1}, {"tests": {"a": 1}}]
)
def test_a_file_that_holds_something_else(tmp_path, changed):
    path = tmp_path / "a.json"
    measurement_file.write(path, measurement())
    document = json.loads(path.read_text())
    document["measurement"] |= changed
    path.write_text(json.dumps(document))
    with pytest.raises(SlipstreamError, match="is not one, or was cut short"):
        measurement_file.read(path)


def test_a_run_that_took_no_time_is_none(tmp_path):
    path = tmp_path / "a.json"
    measurement_file.write(path, measurement())
    path.write_text(path.read_text().replace('"wall_s": 10.0', '"wall_s": 0'))
    with pytest.raises(SlipstreamError, match="wall_s"):
        measurement_file.read(path)


def test_a_later_version(tmp_path):
    path = tmp_path / "a.json"
    path.write_text('{"version": 2, "something": "else"}')
    with pytest.raises(SlipstreamError, match=r"has version 2, and this slipstream reads 1\nhint"):
        measurement_file.read(path)


def test_a_directory_cannot_be_read(tmp_path):
    with pytest.raises(SlipstreamError, match="cannot be read: Is a directory"):
        measurement_file.read(tmp_path)


def test_where_nothing_can_be_written(tmp_path):
    (tmp_path / ".slipstream").write_text("a file")
    path = measurement_file.free_path(tmp_path, "a")
    with pytest.raises(SlipstreamError, match=r"cannot be written to .*\nhint: the table above"):
        measurement_file.write(path, measurement())
