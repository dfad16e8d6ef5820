"""Directories that are kept: whole or not at all, and of this boot."""

from __future__ import annotations

import errno
import os
from pathlib import Path

import msgspec
import pytest

from pytest_slipstream.databases.servers import directories
from pytest_slipstream.databases.servers.directories import Origin, made_once
from pytest_slipstream.databases.servers.privileges import Account
from pytest_slipstream.errors import ServerError

OURS = Account(uid=os.geteuid(), gid=os.getegid())


@pytest.fixture
def origin(tmp_path: Path) -> Origin:
    program = tmp_path / "program"
    program.write_bytes(b"12345")
    return Origin(
        label="Server 1", boot=directories.boot_id(), program=str(program), program_bytes=5
    )


def test_it_is_made_once(tmp_path, origin):
    made: list[Path] = []
    for _ in range(2):
        path = made_once(tmp_path / "kept" / "one", origin, OURS, made.append)
        assert directories.read_origin(path) == origin
    assert len(made) == 1


def test_another_origin_makes_it_anew(tmp_path, origin):
    made: list[Path] = []
    made_once(tmp_path / "kept" / "one", origin, OURS, made.append)
    later = msgspec.structs.replace(origin, boot="later")
    made_once(tmp_path / "kept" / "one", later, OURS, made.append)
    assert len(made) == 2


def test_failure_leaves_nothing(tmp_path, origin):
    def fill_the_disk(path: Path) -> None:
        (path / "half").touch()
        raise OSError(errno.ENOSPC, "No space left on device")

    with pytest.raises(ServerError, match="no space is left on the file system of"):
        made_once(tmp_path / "kept" / "one", origin, OURS, fill_the_disk)
    assert [path.name for path in (tmp_path / "kept").iterdir()] == ["one.lock"]


def test_what_makes_it_stale(origin):
    assert origin.stale() is None
    assert "before the last reboot" in str(msgspec.structs.replace(origin, boot="x").stale())
    assert "another version" in str(msgspec.structs.replace(origin, program_bytes=6).stale())
    Path(origin.program).unlink()
    assert origin.stale() == f"{origin.program} is gone"


def test_torn_origin_is_none(tmp_path):
    (tmp_path / directories.ORIGIN).write_text('{"label": "Ser', "utf-8")
    assert directories.read_origin(tmp_path) is None


def test_directory_of_another_kind_is_refused(tmp_path):
    (tmp_path / "link").symlink_to(tmp_path)
    with pytest.raises(ServerError, match="belongs to another user or is not a directory"):
        directories.make_directory(tmp_path / "link", OURS)


def test_there_is_no_room_where_there_is_no_ram_disk(tmp_path):
    assert directories.room_in_memory(tmp_path / "absent") == 0
    assert directories.room_in_memory(tmp_path) > 0
