"""Which cache directory is used."""

from __future__ import annotations

import os
import stat
import tempfile
from pathlib import Path

import pytest

from pytest_slipstream.databases import cache
from pytest_slipstream.databases.cache import cache_directory
from pytest_slipstream.errors import ConfigurationError


def test_option_wins_over_environment(tmp_path):
    environ = {"SLIPSTREAM_CACHE_DIR": str(tmp_path / "environment")}
    assert cache_directory(str(tmp_path / "option"), environ) == tmp_path / "option"
    assert cache_directory(None, environ) == tmp_path / "environment"
    assert (tmp_path / "environment").is_dir()


def test_relative_path_is_of_the_working_directory(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    assert cache_directory("here", {}) == tmp_path / "here"


def test_permissions_of_an_existing_directory_stay(tmp_path):
    (tmp_path / "mine").mkdir(mode=0o750)
    (tmp_path / "mine").chmod(0o750)
    cache_directory(str(tmp_path / "mine"), {})
    assert stat.S_IMODE((tmp_path / "mine").stat().st_mode) == 0o750


def test_named_file_is_refused(tmp_path):
    (tmp_path / "file").touch()
    with pytest.raises(
        ConfigurationError, match="file cannot be used: it is not a directory"
    ) as caught:
        cache_directory(str(tmp_path / "file"), {})
    assert "SLIPSTREAM_CACHE_DIR" in (caught.value.hint or "")


def test_unusable_default_falls_back_to_a_private_temporary_one(tmp_path, monkeypatch):
    (tmp_path / "file").touch()
    monkeypatch.setattr(cache, "_FOR_ROOT", tmp_path / "file" / "below")
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "file" / "below"))
    monkeypatch.setattr(tempfile, "tempdir", str(tmp_path))
    fallback = tmp_path / f"pytest-slipstream-{os.geteuid()}"
    assert cache_directory(None, {}) == fallback
    assert stat.S_IMODE(fallback.stat().st_mode) & 0o066 == 0


def test_fallback_that_is_a_link_is_refused(tmp_path, monkeypatch):
    (tmp_path / "file").touch()
    (tmp_path / "elsewhere").mkdir()
    monkeypatch.setattr(cache, "_FOR_ROOT", tmp_path / "file" / "below")
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "file" / "below"))
    monkeypatch.setattr(tempfile, "tempdir", str(tmp_path))
    Path(tmp_path, f"pytest-slipstream-{os.geteuid()}").symlink_to(tmp_path / "elsewhere")
    with pytest.raises(ConfigurationError, match="it belongs to another user"):
        cache_directory(None, {})
