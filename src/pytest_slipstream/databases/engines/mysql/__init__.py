"""MySQL and MariaDB: counters tell what a test wrote, and statements on the server put it back.

Nothing here imports PyMySQL before an engine is opened.
"""

from __future__ import annotations

from pytest_slipstream.databases.engines.mysql.engine import create

__all__ = ["create"]
