"""Data directories: which are used again, which are thrown away, and where they lie."""

from __future__ import annotations

import os
import shutil
import subprocess
from collections.abc import Generator
from pathlib import Path

import msgspec
import pytest

from folders import folders
from pytest_slipstream.databases.servers import directories, embedded, stores
from pytest_slipstream.databases.servers.embedded_server import EmbeddedServer


def run_once(user) -> dict:
    answer = user.ask("open")
    assert "error" not in answer, answer
    user.do("close")
    return answer


def entry_of(cache_dir: Path) -> embedded.ServerEntry:
    (entry,) = embedded.list_servers(cache_dir)
    return entry


def rewrite_origin(directory: Path, **changes: object) -> None:
    origin = directories.read_origin(directory)
    assert origin is not None
    directories.write_origin(directory, msgspec.structs.replace(origin, **changes))


def test_data_from_before_a_reboot_is_made_anew(users):
    run_once(users())
    entry = entry_of(users.cache_dir)
    rewrite_origin(entry.directory, boot="another boot")
    for cluster in folders(entry.directory.parent / "clusters"):
        rewrite_origin(cluster, boot="another boot")
    answer = run_once(users())
    assert any("before the last reboot" in message for message in answer["said"])
    assert any("for the first time" in message for message in answer["said"])
    assert not entry.data.exists()
    assert entry_of(users.cache_dir).stale is None


def test_data_of_replaced_binaries_is_made_anew(users):
    run_once(users())
    entry = entry_of(users.cache_dir)
    rewrite_origin(entry.directory, program_bytes=1)
    answer = run_once(users())
    assert any("is another version now" in message for message in answer["said"])
    assert not entry.data.exists()


def test_prune_removes_server_of_uninstalled_binaries(users):
    run_once(users())
    entry = entry_of(users.cache_dir)
    rewrite_origin(entry.directory, program="/uninstalled/postgres")
    sentences = embedded.prune(users.cache_dir, ram_disk=Path("/nonexistent"))
    assert sentences == [f"removed {entry.directory}: /uninstalled/postgres is gone"]
    assert not entry.directory.exists()
    assert not entry.data.exists()


def test_half_made_data_is_never_used(users):
    run_once(users())
    entry = entry_of(users.cache_dir)
    # As a run leaves it that was killed while it copied: no origin, and a part of the files.
    (entry.directory / directories.ORIGIN).unlink()
    shutil.rmtree(entry.data / "base")
    answer = run_once(users())
    assert not any("did not start" in message for message in answer["said"])
    assert not entry.data.exists()
    assert entry_of(users.cache_dir).data.exists()


def test_half_made_cluster_is_never_used(users):
    run_once(users())
    entry = entry_of(users.cache_dir)
    (cluster,) = folders(entry.directory.parent / "clusters")
    (cluster / directories.ORIGIN).unlink()
    half = cluster.with_name(f"{cluster.name}{directories.MAKING}killed")
    half.mkdir()
    (entry.directory / directories.ORIGIN).unlink()
    answer = run_once(users())
    assert any("for the first time" in message for message in answer["said"])
    assert not half.exists()


def test_data_that_does_not_start_is_made_anew_once(users):
    run_once(users())
    entry = entry_of(users.cache_dir)
    (entry.data / "global" / "pg_control").write_bytes(b"torn")
    answer = run_once(users())
    assert any("making the data anew" in message for message in answer["said"])
    assert run_once(users())["said"][0].startswith("starting")


def test_removed_data_is_made_anew(users):
    run_once(users())
    shutil.rmtree(entry_of(users.cache_dir).data)
    assert any("it is gone" in message for message in run_once(users())["said"])


def test_other_options_are_another_server(users):
    plain, tuned = users(), users(server_options={"work_mem": "7MB"})
    assert plain.do("open")["started"]
    assert tuned.do("open")["started"]
    assert tuned.do("sql show work_mem") == "7MB"
    assert plain.do("sql show work_mem") == "4MB"
    assert plain.do("sql show fsync") == "off"
    assert len(embedded.list_servers(users.cache_dir)) == 2
    plain.do("close")
    tuned.do("close")


def test_wrong_server_option_is_named(users):
    answer = users(server_options={"work_memory": "7MB"}).ask("open")
    assert answer["type"] == "ServerError"
    assert 'unrecognized configuration parameter "work_memory"' in answer["error"]
    assert "hint: correct or remove 'work_memory' in `server_options`" in answer["error"]


def test_reserved_server_option_is_refused(users):
    answer = users(server_options={"port": "1"}).ask("open")
    assert answer["type"] == "ConfigurationError"
    assert "`server_options` sets 'port'" in answer["error"]


def test_locale_that_is_not_there_is_named(users):
    answer = users(locale="xx_YY.UTF-8").ask("open")
    assert answer["type"] == "ServerError"
    assert "the locale 'xx_YY.UTF-8' is not on this machine" in answer["error"]
    assert folders(users.cache_dir / "servers" / "clusters") == []


@pytest.fixture
def ram_disk(only_root: None, short_path: Path, request) -> Generator[Path, None, None]:
    """A RAM disk of the size given by the parameter, with a cache directory beside it."""
    place = short_path / "ram"
    place.mkdir()
    subprocess.run(
        ["mount", "-t", "tmpfs", "-o", f"mode=1777,size={request.param}", "tmpfs", str(place)],
        check=True,
    )
    yield place
    for store in place.glob("*"):
        stores.discard(store)
    subprocess.run(["umount", str(place)], check=True)


@pytest.mark.parametrize("ram_disk", ["2g"], indirect=True)
def test_data_lies_on_the_ram_disk_and_is_swept_there(users, ram_disk):
    run_once(users(ram_disk=ram_disk))
    entry = entry_of(users.cache_dir)
    assert entry.data.parent.parent == ram_disk
    assert embedded.prune(users.cache_dir, ram_disk=ram_disk) == []
    shutil.rmtree(users.cache_dir / "servers")
    (sentence,) = embedded.prune(users.cache_dir, ram_disk=ram_disk)
    assert sentence.startswith(f"removed {entry.data.parent}: ")
    assert list(ram_disk.iterdir()) == []


@pytest.mark.parametrize("ram_disk", ["200m"], indirect=True)
def test_small_ram_disk_is_not_used(users, ram_disk):
    run_once(users(ram_disk=ram_disk))
    assert entry_of(users.cache_dir).data.is_relative_to(users.cache_dir / "servers")


@pytest.mark.parametrize("ram_disk", ["1100m"], indirect=True)
def test_ram_disk_that_filled_up_since_gives_way_to_the_disk(users, ram_disk):
    run_once(users(ram_disk=ram_disk))
    with (ram_disk / "full").open("wb") as file:
        os.posix_fallocate(file.fileno(), 0, 1040 << 20)
    answer = run_once(users(ram_disk=ram_disk))
    assert any(f"{ram_disk} is full" in message for message in answer["said"])
    assert entry_of(users.cache_dir).data.is_relative_to(users.cache_dir / "servers")
    (ram_disk / "full").unlink()


@pytest.mark.parametrize("ram_disk", ["24m"], indirect=True)
def test_full_disk_is_named_and_nothing_half_made_stays(users, ram_disk):
    # The small file system is the cache directory itself here, and there is no RAM disk.
    answer = users(ram_disk).ask("open")
    assert answer["type"] == "ServerError"
    assert "no space is left on the file system of" in answer["error"]
    assert "hint: free some" in answer["error"]
    assert folders(ram_disk, "servers/clusters/*") == []
    assert list(ram_disk.glob("servers/*/store-*")) == []


def test_environment_of_the_user_does_not_reach_the_server(users):
    user = users(environ={"TZ": "Asia/Tokyo", "LANG": "nonsense", "PGDATESTYLE": "German"})
    user.do("open")
    assert user.do("sql show timezone") == "UTC"
    user.do("close")


def test_default_ram_disk_is_dev_shm():
    assert Path("/dev/shm") == stores.RAM_DISK
    assert EmbeddedServer.__init__.__kwdefaults__["ram_disk"] == stores.RAM_DISK
