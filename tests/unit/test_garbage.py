"""The garbage collector, paused: what is made meanwhile is not looked at, and not forgotten."""

from __future__ import annotations

import gc
import weakref
from collections.abc import Iterator

import pytest

from pytest_slipstream import garbage


class Node:
    """Refers to itself, so that only the garbage collector frees it."""

    def __init__(self) -> None:
        self.itself = self


@pytest.fixture
def collector_on() -> Iterator[None]:
    before = gc.isenabled()
    gc.enable()
    yield
    gc.unfreeze()
    if not before:
        gc.disable()


@pytest.mark.usefixtures("collector_on")
def test_what_is_made_meanwhile_is_old_at_once_and_collected_as_ever() -> None:
    with garbage.paused():
        assert gc.get_threshold()[0] == 0
        node = Node()
    assert gc.isenabled()
    assert not any(each is node for each in gc.get_objects(generation=0))
    assert any(each is node for each in gc.get_objects())
    dead = weakref.ref(node)
    del node
    gc.collect()
    assert dead() is None


@pytest.mark.usefixtures("collector_on")
def test_what_the_application_froze_stays_frozen() -> None:
    gc.freeze()
    frozen = gc.get_freeze_count()
    with garbage.paused():
        pass
    assert gc.get_freeze_count() == frozen > 0


@pytest.mark.usefixtures("collector_on")
def test_a_collector_that_was_off_stays_off_and_an_error_turns_it_on_again() -> None:
    with pytest.raises(ImportError), garbage.paused():
        raise ImportError
    assert gc.isenabled()
    gc.disable()
    with garbage.paused():
        pass
    assert not gc.isenabled()


@pytest.mark.usefixtures("collector_on")
def test_it_is_looked_for_less_for_a_while() -> None:
    before = gc.get_threshold()
    with garbage.looked_for_less(16):
        assert gc.get_threshold() == (16 * before[0], *before[1:])
    assert gc.get_threshold() == before


@pytest.mark.usefixtures("collector_on")
def test_what_the_imported_code_tells_the_collector_holds() -> None:
    before = gc.get_threshold()
    try:
        with garbage.paused():
            gc.set_threshold(1234, *before[1:])
        assert gc.get_threshold()[0] == 1234
        with garbage.paused():
            gc.disable()
        assert not gc.isenabled()
    finally:
        gc.set_threshold(*before)
        gc.enable()
