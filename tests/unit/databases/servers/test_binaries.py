"""Which PostgreSQL is chosen."""

from __future__ import annotations

import pytest

from pytest_slipstream.databases.servers.postgresql_binaries import (
    Binaries,
    find_binaries,
    newest,
    parse_version,
)
from pytest_slipstream.databases.servers.postgresql_embedded import locale_options
from pytest_slipstream.errors import ServerError


def binaries(kind: str, text: str) -> Binaries:
    return Binaries(directory=f"/{kind}", kind=kind, text=text, version=parse_version(text))


@pytest.mark.parametrize(
    ("text", "version"),
    [
        ("18.6", (18, 6)),
        ("15.18 (Debian 15.18-0+deb12u1)", (15, 18)),
        ("19beta1", (19, 0)),
        ("19devel", (19, 0)),
        ("unknown", (0, 0)),
    ],
)
def test_version(text, version):
    assert parse_version(text) == version


def test_newest_wins_and_a_tie_goes_to_the_wheel():
    old, new = binaries("wheel", "16.4"), binaries("system", "17.1 (Debian)")
    assert newest([old, new]) is new
    wheel = binaries("wheel", "17.1")
    assert newest([new, wheel]) is wheel
    assert newest([wheel, new]) is wheel


def test_ten_is_newer_than_nine():
    assert newest([binaries("system", "9.6"), binaries("system", "10.1")]).text == "10.1"


def test_named_directory_without_programs(tmp_path):
    with pytest.raises(ServerError, match=r"SLIPSTREAM_POSTGRES_BIN names .* not found"):
        find_binaries({"SLIPSTREAM_POSTGRES_BIN": str(tmp_path)})


def test_named_programs_that_are_too_old(tmp_path):
    for name in ("postgres", "initdb"):
        (tmp_path / name).write_text("#!/bin/sh\necho 'postgres (PostgreSQL) 12.3'\n", "utf-8")
        (tmp_path / name).chmod(0o755)
    with pytest.raises(ServerError, match=r"PostgreSQL 12\.3 in .* is too old: 14 is the oldest"):
        find_binaries({"SLIPSTREAM_POSTGRES_BIN": str(tmp_path)})


def test_macos_has_no_c_utf8_of_its_own():
    assert locale_options("C.UTF-8", 18, "linux") == ["--locale=C.UTF-8"]
    assert "--builtin-locale=C.UTF-8" in locale_options("C.UTF-8", 17, "darwin")
    assert locale_options("de_DE.UTF-8", 18, "darwin") == ["--locale=de_DE.UTF-8"]
