from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from properties import PROPERTY
from pytest_slipstream.databases import naming


@PROPERTY
@given(
    uid=st.text(max_size=80),
    worker=st.text(max_size=80),
    key=st.from_regex(r"[a-z][a-z0-9_]{0,19}", fullmatch=True),
    number=st.integers(0, 9999),
)
def test_slot_names_are_ours_short_and_say_whose_they_are(
    uid: str, worker: str, key: str, number: int
) -> None:
    name = naming.slot_name(uid, worker, key, number)
    assert name.startswith(naming.PREFIX)
    assert len(name.encode()) <= 63 - len("_spare99")
    parsed = naming.parse_slot_name(name)
    assert parsed is not None
    assert parsed.owner == naming.owner_digest(uid, worker)


@PROPERTY
@given(key=st.from_regex(r"[a-z][a-z0-9_]{0,19}", fullmatch=True), node_id=st.text(max_size=300))
def test_kept_names_fit_whatever_the_test_is_called(key: str, node_id: str) -> None:
    name = naming.kept_name(key, node_id, 12)
    assert name.startswith(naming.PREFIX)
    assert len(name.encode()) <= 63
    assert name.endswith("_c")


@pytest.mark.parametrize("name", ["postgres", "slipstream", "slipstream_t_main_0123", "my_s_1"])
def test_names_of_other_kinds_are_not_slots(name: str) -> None:
    assert naming.parse_slot_name(name) is None


def test_template_is_built_under_another_name() -> None:
    template = naming.template_name("main", "0123456789abcdef" * 4)
    assert template == "slipstream_t_main_0123456789abcdef"
    assert naming.build_name(template) == "slipstream_b_main_0123456789abcdef"
