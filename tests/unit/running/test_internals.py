"""A pytest that is built otherwise is refused, with what is different."""

from __future__ import annotations

import pytest

from pytest_slipstream.errors import ConfigurationError
from pytest_slipstream.running import pytest_internals
from pytest_slipstream.running.pytest_internals import Probe


def test_this_pytest_is_known():
    pytest_internals.check()


@pytest.mark.parametrize(
    ("probe", "complaint"),
    [
        (Probe("_pytest.nowhere:Thing"), "there is no _pytest.nowhere:Thing"),
        (Probe("_pytest.runner:SetupState.gone"), "there is no _pytest.runner:SetupState.gone"),
        (
            Probe("_pytest.runner:SetupState.__init__", uses=("stack", "heap")),
            "_pytest.runner:SetupState.__init__ does not use heap",
        ),
        (
            Probe("_pytest.runner:SetupState.setup", ("self", "node")),
            "_pytest.runner:SetupState.setup takes (self, item)",
        ),
    ],
)
def test_what_is_different_is_named(probe, complaint):
    with pytest.raises(ConfigurationError) as caught:
        pytest_internals.check([probe])
    assert complaint in str(caught.value)
    assert f"under pytest {pytest.__version__}" in str(caught.value)
    assert "hint: leave out 'concurrency' and the marker 'concurrent'" in str(caught.value)
