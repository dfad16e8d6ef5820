"""A clean, real database for every test, at the price of a rollback.

PYTEST_DONT_REWRITE: a spawned worker imports this before pytest, which would warn of it.
"""

from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from pytest_slipstream.running.requests import getfixturevalue

__version__ = "0.1.0.dev0"

__all__ = ["__version__", "getfixturevalue"]


def __getattr__(name: str) -> Any:
    """Import what is public when it is asked for: pytest imports this package in every run."""
    if name == "getfixturevalue":
        from pytest_slipstream.running.requests import getfixturevalue

        return getfixturevalue
    raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
