"""How databases are shown and named."""

from __future__ import annotations

import pytest

from pytest_slipstream.cli.db import age
from pytest_slipstream.databases import inventory, naming
from pytest_slipstream.databases.engines.protocol import Address
from pytest_slipstream.databases.holdings import Holding, kind_of, refuse_alive
from pytest_slipstream.errors import SlipstreamError

SLOT = naming.slot_name("uid", "gw0", "main")


def holding(name: str, *, alive: bool = False) -> Holding:
    address = Address(engine="sqlite", database=name, path=f"/x/{name}.db")
    return Holding(kind=kind_of(name), name=name, address=address, size_bytes=0, alive=alive)


@pytest.mark.parametrize(
    ("used_at", "shown"),
    [(0.0, ""), (999.0, "just now"), (940.0, "1 min ago"), (2000.0, "just now")],
)
def test_ages(used_at, shown):
    assert age(used_at, 1000.0) == shown


@pytest.mark.parametrize(("seconds", "shown"), [(3 * 3600, "3 h ago"), (49 * 3600, "2 d ago")])
def test_long_ages(seconds, shown):
    assert age(1.0, 1.0 + seconds) == shown


@pytest.mark.parametrize(
    ("name", "kind"),
    [
        (naming.template_name("main", "0" * 16), "template"),
        (naming.build_name(naming.template_name("main", "0" * 16)), "build"),
        (SLOT, "slot"),
        (naming.kept_name("main", "test_x", 1), "kept"),
        ("slipstream_own", "other"),
    ],
)
def test_kinds(name, kind):
    assert kind_of(name) == kind


def test_a_build_tells_its_template():
    template = naming.template_name("main", "0" * 16)
    assert naming.template_of(naming.build_name(template)) == template


def test_a_slot_is_kept_under_its_own_name_or_the_wanted_one():
    kept = inventory.kept_as(holding(SLOT), None)
    assert kind_of(kept) == "kept"
    assert len(kept) <= 63
    assert inventory.kept_as(holding(SLOT), "before_the_bug") == "slipstream_k_before_the_bug"


@pytest.mark.parametrize("wanted", ["", "Upper", "a-b", "x" * 41, 'a"b'])
def test_names_that_cannot_be_used(wanted):
    with pytest.raises(SlipstreamError, match="cannot name a kept database"):
        inventory.kept_as(holding(SLOT), wanted)


def test_only_a_slot_is_kept():
    with pytest.raises(SlipstreamError, match="only a slot can be kept"):
        inventory.kept_as(holding("slipstream_t_main_0"), None)


@pytest.mark.parametrize("name", ["postgres", "production", "slipstream", ""])
def test_what_is_not_ours_is_refused(name):
    with pytest.raises(SlipstreamError, match="left alone"):
        inventory.find([], name)


def test_what_is_alive_is_refused():
    with pytest.raises(SlipstreamError, match="in use") as caught:
        refuse_alive(holding(SLOT, alive=True))
    assert caught.value.hint is not None


def test_shell_commands_keep_the_password_out_of_the_arguments():
    address = Address(
        engine="postgresql", database="d", host="h", port=5, user="u", password="secret"
    )
    command, environ = inventory.shell_command(address)
    assert command == ["psql", "-h", "h", "-p", "5", "-U", "u", "d"]
    assert environ == {"PGPASSWORD": "secret"}
