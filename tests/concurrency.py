"""Projects whose tests are in flight together."""

from __future__ import annotations

import re

from projects import Project

PYTEST_OPTIONS = """
asyncio_mode = "auto"
asyncio_default_fixture_loop_scope = "function"
filterwarnings = ["error", "ignore:Using `httpx`"]
"""


def with_concurrency(configuration: str, limit: int = 12) -> str:
    """A project's configuration with up to ``limit`` tests in flight."""
    found = re.match(r"\s*\n( *)", configuration)
    indent = found[1] if found is not None else ""
    return f"{indent}[tool.slipstream]\n{indent}concurrency = {limit}\n{configuration}"


def together(project: Project) -> set[str]:
    """The tests that were in flight with others."""
    ran = project.events("AsyncTestRan")
    return {event["node_id"] for event in ran if event["together"]}
