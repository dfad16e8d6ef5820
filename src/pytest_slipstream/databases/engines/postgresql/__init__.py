"""PostgreSQL: triggers record what a test wrote, and one call on the server puts it back.

Nothing here imports psycopg before an engine is opened.
"""

from __future__ import annotations

from pytest_slipstream.databases.engines.postgresql.engine import create

__all__ = ["create"]
