"""Stores: where the data of an embedded server lies, and the process that runs on it.

A store is on the RAM disk where there is room, else in the server's directory. The invariant: a
store is valid only while its server's directory names it; every other one may be removed by
whoever holds that server's lock.
"""

from __future__ import annotations

import os
from collections.abc import Iterator
from pathlib import Path

import msgspec

from pytest_slipstream.databases.servers import directories, process
from pytest_slipstream.databases.servers.process import Running

RAM_DISK = Path("/dev/shm")
_ROOM_TO_START = 1 << 30
_ROOM_TO_STAY = 64 << 20
_RUNNING = "running.json"
_OWNER = "server"


def places(directory: Path, ram_disk: Path) -> Iterator[tuple[Path, str]]:
    """Where a new store may be made, the best first, each with the prefix of its name."""
    if directories.room_in_memory(ram_disk) >= _ROOM_TO_START:
        yield ram_disk, _ram_prefix()
    yield directory, "store-"


def ram_disk_is_full(ram_disk: Path) -> bool:
    """Whether a server could not go on with its data there."""
    return directories.room_in_memory(ram_disk) < _ROOM_TO_STAY


def write_owner(store: Path, directory: Path) -> None:
    """Note whose store it is, so that it is found again when that directory is gone."""
    directories.write_whole(store / _OWNER, os.fsencode(directory))


def write_running(store: Path, running: Running) -> None:
    """Remember the process that runs on the store."""
    directories.write_whole(store / _RUNNING, msgspec.json.encode(running))


def read_running(store: Path) -> Running | None:
    """The process that was started on the store, alive or not."""
    try:
        return msgspec.json.decode((store / _RUNNING).read_bytes(), type=Running)
    except (OSError, msgspec.DecodeError):
        return None


def process_id(store: Path) -> int | None:
    """The id of the live process on the store."""
    running = read_running(store)
    return running.pid if running is not None and process.find(running) else None


def stop_in(store: Path) -> bool:
    """Stop the server that runs on the store; whether there was one."""
    running = read_running(store)
    if running is None or process.find(running) is None:
        return False
    process.stop(running)
    return True


def discard(store: Path) -> None:
    """Stop what runs on the store and remove it."""
    stop_in(store)
    directories.remove(store)


def on_ram_disk(ram_disk: Path) -> Iterator[tuple[Path, Path]]:
    """This user's stores on the RAM disk, each with the server's directory that it is for."""
    for store in sorted(ram_disk.glob(_ram_prefix() + "*")):
        try:
            # Every user may write to the RAM disk, and what this file says is acted upon.
            if store.lstat().st_uid == os.geteuid():
                yield store, Path(os.fsdecode((store / _OWNER).read_bytes()))
        except OSError:
            continue  # being made or removed at this moment


def _ram_prefix() -> str:
    return f"slipstream-{os.geteuid()}-"
