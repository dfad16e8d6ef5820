"""SQLite: templates are files, slots are page copies of them on the RAM disk where there is one."""

from __future__ import annotations

from pytest_slipstream.databases.engines.sqlite.engine import create

__all__ = ["create"]
