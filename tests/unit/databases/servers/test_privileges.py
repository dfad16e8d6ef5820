"""As whom a server runs, from what the kernel says."""

from __future__ import annotations

from pytest_slipstream.databases.servers.privileges import Account, can_drop

WHOLE_MAP = ["         0          0 4294967295"]
ALL_CAPABILITIES = ["Name:\tpython", "CapEff:\t000001ffffffffff"]


def test_root_of_the_machine_can_drop():
    assert can_drop(WHOLE_MAP, ALL_CAPABILITIES)


def test_without_proc_root_is_taken_to_be_able():
    assert can_drop([], [])


def test_container_with_one_user_cannot():
    assert not can_drop(["0 1000 1"], ALL_CAPABILITIES)


def test_container_with_two_ranges_can():
    assert can_drop(["0 1000 1", "1 100000 65536"], ALL_CAPABILITIES)


def test_missing_capability_to_set_the_uid_forbids_it():
    assert not can_drop(WHOLE_MAP, [f"CapEff:\t{0x1FF & ~(1 << 7):016x}"])


def test_closed_directory_is_not_reached(tmp_path):
    closed = tmp_path / "closed"
    inner = closed / "inner"
    inner.mkdir(parents=True)
    closed.chmod(0o700)
    assert not Account(uid=65534, gid=65534, dropped=True).reaches(inner)
    assert Account(uid=65534, gid=65534).reaches(inner)


def test_directory_for_entering_only_is_reached_but_not_read(tmp_path):
    account = Account(uid=65534, gid=65534, dropped=True)
    directory = tmp_path / "directory"
    directory.mkdir()
    directory.chmod(0o711)
    way_is_open = account.reaches(tmp_path)
    assert account.reaches(directory) == way_is_open
    assert not account.reads(directory)
    assert account.reads(tmp_path / "not there")
