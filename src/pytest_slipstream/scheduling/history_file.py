"""The duration history as a file that lives in the repository or in the CI cache.

One line a test, sorted, so that a difference shows what changed. The invariant: the file is whole
or not there, and one that cannot be read is never written over.
"""

from __future__ import annotations

import os
from collections.abc import Iterator, Mapping
from pathlib import Path

import msgspec

from pytest_slipstream.errors import SlipstreamError
from pytest_slipstream.scheduling.durations import History, Machine, Samples

VERSION = 1


class _Head(msgspec.Struct):
    version: int


class _Document(msgspec.Struct, forbid_unknown_fields=True):
    version: int
    machines: dict[str, Machine]


def read(path: Path) -> History:
    """The history in a file; an empty one where there is no file.

    Raises:
        SlipstreamError: It is no duration history of this version.
    """
    try:
        text = path.read_bytes()
    except FileNotFoundError:
        return History()
    except OSError as error:
        raise SlipstreamError(
            f"the duration history {path} cannot be read: {error.strerror}"
        ) from error
    try:
        version = msgspec.json.decode(text, type=_Head).version
        if version == VERSION:
            return History(msgspec.json.decode(text, type=_Document).machines)
    except (msgspec.DecodeError, UnicodeDecodeError) as error:
        raise SlipstreamError(
            f"the duration history {path} is not one: {error}",
            hint="restore or delete it; two sides of a conflict are joined by "
            "'slipstream durations merge'",
        ) from error
    raise SlipstreamError(
        f"the duration history {path} has version {version}, and this slipstream reads {VERSION}",
        hint="upgrade pytest-slipstream, or delete the file",
    )


def write(path: Path, history: History) -> None:
    """Write the file whole. Of two runs that end at the same instant, one is not recorded."""
    path.parent.mkdir(parents=True, exist_ok=True)
    scratch = path.with_name(f"{path.name}.{os.getpid()}")
    try:
        scratch.write_bytes(encode(history))
        scratch.replace(path)
    finally:
        scratch.unlink(missing_ok=True)


def encode(history: History) -> bytes:
    """The file's content: the same for the same history."""
    machines = {
        name: _object(
            {
                "fixtures": _entries(machine.fixtures),
                "tests": _object(
                    {file: _entries(entries) for file, entries in machine.tests.items()}
                ),
            }
        )
        for name, machine in history.machines.items()
    }
    return _object({"machines": _object(machines), "version": b"%d" % VERSION}) + b"\n"


def _entries(entries: Mapping[str, Samples]) -> bytes:
    return _object({key: _samples(samples) for key, samples in entries.items()})


def _samples(samples: Samples) -> bytes:
    """Without the zeros at the end, of which a large suite has many."""
    return msgspec.json.encode(
        [
            msgspec.structs.astuple(one)[: None if one.setup_ms or one.teardown_ms else 2]
            for one in samples
        ]
    )


def _object(members: Mapping[str, bytes]) -> bytes:
    """A JSON object, one member a line."""
    return b"{\n" + b",\n".join(_members(members)) + b"\n}" if members else b"{}"


def _members(members: Mapping[str, bytes]) -> Iterator[bytes]:
    for key in sorted(members):
        yield msgspec.json.encode(key) + b":" + members[key]
