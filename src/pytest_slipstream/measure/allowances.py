"""The file of allowances: tests over their budget, and what each may take until it is mended.

The invariant: it is written whole, and by ``slipstream budget update`` alone.
"""

from __future__ import annotations

import os
from pathlib import Path

import msgspec

from pytest_slipstream.errors import SlipstreamError

PATH = Path(".slipstream", "budget.json")
VERSION = 1


class _Document(msgspec.Struct, forbid_unknown_fields=True):
    version: int
    tests: dict[str, float]


def read(rootdir: Path) -> dict[str, float] | None:
    """Seconds by node id; None where there is no file.

    Raises:
        SlipstreamError: It is none of this version.
    """
    path = rootdir / PATH
    try:
        document = msgspec.json.decode(path.read_bytes(), type=_Document)
    except FileNotFoundError:
        return None
    except (OSError, msgspec.DecodeError, UnicodeDecodeError) as error:
        raise SlipstreamError(
            f"the allowances {path} cannot be read: {error}",
            hint="take them from git again, or delete the file and run 'slipstream budget update'",
        ) from error
    if document.version != VERSION:
        raise SlipstreamError(
            f"the allowances {path} have version {document.version}, and this slipstream reads "
            f"{VERSION}"
        )
    return document.tests


def write(rootdir: Path, tests: dict[str, float]) -> Path:
    """Write the file whole.

    Raises:
        SlipstreamError: It cannot be written.
    """
    path = rootdir / PATH
    scratch = path.with_name(f"{path.name}.{os.getpid()}")
    content = msgspec.json.encode(_Document(VERSION, dict(sorted(tests.items()))))
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        scratch.write_bytes(msgspec.json.format(content, indent=1) + b"\n")
        scratch.replace(path)
    except OSError as error:
        raise SlipstreamError(f"the allowances cannot be written to {path}: {error}") from error
    return path
