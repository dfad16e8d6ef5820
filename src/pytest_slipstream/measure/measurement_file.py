"""Measurements as files below ``.slipstream/measurements``.

The invariant: a file is whole or not there, and an older one is never written over.
"""

from __future__ import annotations

import os
import re
from datetime import datetime, timezone
from pathlib import Path

import msgspec

from pytest_slipstream.errors import ConfigurationError, SlipstreamError
from pytest_slipstream.measure.values import Measurement

VERSION = 1
DIRECTORY = Path(".slipstream", "measurements")
_NAME = re.compile(r"\w[\w.-]{0,99}", re.ASCII)


class _Head(msgspec.Struct):
    version: int


class _Document(msgspec.Struct, forbid_unknown_fields=True):
    version: int
    measurement: Measurement


def new_name() -> str:
    """A name for a measurement that was given none."""
    return datetime.now(timezone.utc).strftime("%Y-%m-%dT%H-%M-%S.%f")[:-3]


def free_path(project: Path, name: str) -> Path:
    """Where a measurement of this name is to be written.

    Raises:
        ConfigurationError: It is no name, or taken.
    """
    if not _NAME.fullmatch(name):
        raise ConfigurationError(
            f"{name!r} cannot be the name of a measurement",
            hint="use up to 100 letters, digits, '.', '-' and '_' in `--name`",
        )
    path = project / DIRECTORY / f"{name}.json"
    if path.exists():
        raise ConfigurationError(
            f"there is a measurement {name} already: {path}",
            hint="give another `--name`, or delete that file",
        )
    return path


def find(project: Path, given: str) -> Path:
    """The file of a measurement, by its path or by its name.

    Raises:
        SlipstreamError: There is none.
    """
    for path in (Path(given), project / DIRECTORY / f"{given}.json"):
        if path.is_file():
            return path
    names = sorted(path.stem for path in (project / DIRECTORY).glob("*.json"))
    raise SlipstreamError(
        f"there is no measurement {given}: it is neither a file nor one of "
        f"{', '.join(names[-10:]) or 'none'} in {project / DIRECTORY}",
        hint="'slipstream measure --name NAME' makes one",
    )


def read(path: Path) -> Measurement:
    """The measurement in a file.

    Raises:
        SlipstreamError: It is no measurement of this version.
    """
    try:
        text = path.read_bytes()
    except OSError as error:
        raise SlipstreamError(f"the measurement {path} cannot be read: {error.strerror}") from error
    try:
        version = msgspec.json.decode(text, type=_Head).version
        if version == VERSION:
            return msgspec.json.decode(text, type=_Document).measurement
    except (msgspec.DecodeError, UnicodeDecodeError) as error:
        raise SlipstreamError(
            f"the measurement {path} is not one, or was cut short: {error}",
            hint="delete it and measure again",
        ) from error
    raise SlipstreamError(
        f"the measurement {path} has version {version}, and this slipstream reads {VERSION}",
        hint="compare it with the slipstream that wrote it, or measure again",
    )


def write(path: Path, measurement: Measurement) -> None:
    """Write a file whole.

    Raises:
        SlipstreamError: It cannot be written.
    """
    content = msgspec.json.encode(_Document(VERSION, measurement))
    scratch = path.with_name(f"{path.name}.{os.getpid()}")
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        # They are figures of one machine; whoever wants one in the repository forces it in.
        path.with_name(".gitignore").write_text("*\n")
        try:
            scratch.write_bytes(msgspec.json.format(content, indent=1) + b"\n")
            scratch.replace(path)
        finally:
            scratch.unlink(missing_ok=True)
    except OSError as error:
        raise SlipstreamError(
            f"the measurement cannot be written to {path}: {error.strerror}",
            hint="the table above has its figures; make the directory writable",
        ) from error
