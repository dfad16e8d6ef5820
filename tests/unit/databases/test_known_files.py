"""What is remembered of a file, and when it is not believed."""

from __future__ import annotations

import os
import time
from pathlib import Path

import pytest

from pytest_slipstream.databases import known_files
from pytest_slipstream.databases.known_files import KnownFiles

OLD_NS = 1_600_000_000 * 10**9


@pytest.fixture
def file(tmp_path: Path) -> Path:
    path = tmp_path / "a.py"
    path.write_text("import b")
    os.utime(path, ns=(OLD_NS, OLD_NS))
    return path


@pytest.fixture
def later(monkeypatch: pytest.MonkeyPatch) -> None:
    """As if the file had been changed a while ago: the kernel sets ``ctime`` to now."""
    now = time.time_ns
    monkeypatch.setattr(known_files.time, "time_ns", lambda: now() + 10 * 10**9)


def remember(cache_dir: Path, file: Path) -> str:
    known = KnownFiles.load(cache_dir, "key")
    digest = known.digest(str(file))
    known.save()
    return digest


def count_reads(monkeypatch: pytest.MonkeyPatch) -> list[Path]:
    reads: list[Path] = []
    read_bytes = Path.read_bytes

    def counted(path: Path) -> bytes:
        reads.append(path)
        return read_bytes(path)

    monkeypatch.setattr(Path, "read_bytes", counted)
    return reads


@pytest.mark.usefixtures("later")
def test_a_file_with_an_equal_stat_is_not_read_again(
    tmp_path: Path, file: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    digest = remember(tmp_path, file)
    reads = count_reads(monkeypatch)
    known = KnownFiles.load(tmp_path, "key")
    assert known.digest(str(file)) == digest
    assert [item.module for item in known.imports(str(file))] == ["b"]
    assert file not in reads


@pytest.mark.usefixtures("later")
def test_a_change_with_equal_size_and_an_older_time_is_seen(tmp_path: Path, file: Path) -> None:
    digest = remember(tmp_path, file)
    file.write_text("import c")
    os.utime(file, ns=(OLD_NS - 10**9, OLD_NS - 10**9))
    assert remember(tmp_path, file) != digest


@pytest.mark.usefixtures("later")
def test_a_file_replaced_by_one_with_its_time_and_size_is_seen(tmp_path: Path, file: Path) -> None:
    digest = remember(tmp_path, file)
    other = tmp_path / "other"
    other.write_text("import c")
    os.utime(other, ns=(OLD_NS, OLD_NS))
    other.replace(file)
    assert remember(tmp_path, file) != digest


def test_a_file_changed_a_moment_ago_is_not_remembered(
    tmp_path: Path, file: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    remember(tmp_path, file)
    reads = count_reads(monkeypatch)
    remember(tmp_path, file)
    assert file in reads


@pytest.mark.usefixtures("later")
@pytest.mark.parametrize("damage", [b"", b"\xc1\x00", b"\x92\xa10\x80"])
def test_a_damaged_or_foreign_cache_is_ignored(tmp_path: Path, file: Path, damage: bytes) -> None:
    digest = remember(tmp_path, file)
    (cache,) = (tmp_path / "fingerprints").iterdir()
    cache.write_bytes(damage)
    assert remember(tmp_path, file) == digest
    assert cache.read_bytes() != damage


@pytest.mark.usefixtures("later")
def test_a_cache_that_cannot_be_written_costs_nothing_but_time(tmp_path: Path, file: Path) -> None:
    in_the_way = tmp_path / "cache"
    in_the_way.touch()
    assert remember(in_the_way, file) == remember(tmp_path, file)


def test_what_cannot_be_read_says_why(tmp_path: Path) -> None:
    known = KnownFiles.load(tmp_path, "key")
    assert known.digest(str(tmp_path / "gone.py")) == "unreadable: No such file or directory"
    assert known.imports(str(tmp_path / "gone.py")) == ()
