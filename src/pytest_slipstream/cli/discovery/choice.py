"""What speaks against a schema that the user chose, as far as can be told without running it.

The invariant: nothing of the project's is imported, since what it reads from the environment may
not be there yet; so nothing is refused that may work under pytest.
"""

from __future__ import annotations

from importlib.util import find_spec

from pytest_slipstream.cli.discovery.project import Project
from pytest_slipstream.databases.sources import ObjectSource, decode


def doubt(project: Project, schema: str) -> str | None:
    """Why pytest would not find it, or None.

    Args:
        project: What was read.
        schema: What the user wrote.

    Raises:
        ConfigurationError: It has none of the valid forms.
    """
    source = decode(schema, "schema")
    if not isinstance(source, ObjectSource):
        return None if (project.root / schema).exists() else f"{schema} is not there yet"
    own = {one.module for one in project.sources}
    package = source.module.partition(".")[0]
    if any(name.partition(".")[0] == package for name in own):
        found = source.module in own
    else:
        found = find_spec(package) is not None
    if found:
        return None
    return (
        f"the module {source.module!r} of the schema {schema!r} is neither in the project nor "
        "installed here, so that pytest would not import it"
    )
