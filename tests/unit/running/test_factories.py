"""Which fixtures get the same random values on every worker."""

from __future__ import annotations

import random
import types
from typing import Any, cast

import pytest

import pytest_slipstream
from pytest_slipstream.running.factories import SeededFactories


def drawn(worker: str, module: str) -> float:
    """What a session fixture of this module draws."""

    def function() -> None:
        pass

    function.__module__ = module
    definition = types.SimpleNamespace(scope="session", argname="port", func=function)
    request = types.SimpleNamespace(node=types.SimpleNamespace(nodeid=""))
    setup = SeededFactories(worker).pytest_fixture_setup(
        cast(pytest.FixtureDef[Any], definition), cast(pytest.FixtureRequest, request)
    )
    before = random.getstate()
    next(setup)
    value = random.random()
    with pytest.raises(StopIteration):
        setup.send(None)
    assert random.getstate() == before
    return value


def test_the_project_s_own_draw_the_same():
    assert drawn("gw0", pytest_slipstream.__name__) == drawn("gw1", pytest_slipstream.__name__)


def test_those_of_other_plugins_do_not():
    assert drawn("gw0", pytest.__name__) != drawn("gw1", pytest.__name__)
    assert drawn("gw0", pytest.__name__) == drawn("gw0", pytest.__name__)
