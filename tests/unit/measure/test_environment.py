"""The machine and the revision."""

from __future__ import annotations

import subprocess
from pathlib import Path

import pytest

from pytest_slipstream.errors import SlipstreamError
from pytest_slipstream.measure import environment, git


@pytest.fixture
def repository(tmp_path: Path) -> Path:
    for arguments in (
        ("init", "-q"),
        ("config", "user.name", "a"),
        ("config", "user.email", "a@b"),
    ):
        subprocess.run(["git", *arguments], cwd=tmp_path, check=True)
    (tmp_path / "file").write_text("1")
    git.order(tmp_path, "add", "file")
    git.order(tmp_path, "commit", "-q", "-m", "one")
    return tmp_path


def test_this_machine():
    machine = environment.machine()
    assert machine.processor
    assert machine.cores >= 1
    assert machine.memory_bytes > 1 << 20


def test_a_revision_is_dirty_by_files_that_are_not_slipstream_s(repository):
    clean = environment.commit(repository)
    assert clean is not None
    assert not clean.dirty
    assert len(clean.revision) == 40
    inside = repository / "below" / ".slipstream"
    for directory in (repository / ".slipstream" / "runs", inside):
        directory.mkdir(parents=True)
        (directory / "events.jsonl").write_text("")
    assert environment.commit(repository) == clean
    (repository / "new").write_text("")
    dirty = environment.commit(repository / "below")
    assert dirty is not None
    assert dirty.dirty


def test_no_repository_and_no_git(tmp_path, monkeypatch):
    assert environment.commit(tmp_path) is None
    monkeypatch.setenv("PATH", str(tmp_path))
    assert environment.commit(tmp_path) is None
    with pytest.raises(SlipstreamError, match=r"git status failed in .*: it is not installed"):
        git.order(tmp_path, "status")


def test_the_repository_of_a_hook_is_not_asked(repository, tmp_path_factory, monkeypatch):
    monkeypatch.setenv("GIT_DIR", str(tmp_path_factory.mktemp("other")))
    assert environment.commit(repository) is not None


def test_git_s_own_words_are_in_the_error(repository):
    with pytest.raises(
        SlipstreamError, match=r"git checkout nowhere failed in .*: error: pathspec"
    ):
        git.order(repository, "checkout", "nowhere")
