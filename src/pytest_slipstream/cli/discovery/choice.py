"""What speaks against a schema, as far as can be told without running it.

The invariant: nothing of the project's is imported, since what it reads from the environment may
not be there yet; so nothing is refused that may work under pytest.
"""

from __future__ import annotations

from importlib.util import find_spec
from pathlib import PurePosixPath

from pytest_slipstream.cli.discovery.project import Project, python_path
from pytest_slipstream.databases.sources import ObjectSource, decode


def doubt(project: Project, schema: str) -> str | None:
    """Why pytest would not find it, or None.

    Args:
        project: What was read.
        schema: What the user wrote, or was proposed.

    Raises:
        ConfigurationError: It has none of the valid forms.
    """
    source = decode(schema, "schema")
    if not isinstance(source, ObjectSource):
        return None if (project.root / schema).exists() else f"{schema} is not there yet"
    own = {one.module for one in project.sources}
    package = source.module.partition(".")[0]
    installed = find_spec(package) is not None
    if any(name.partition(".")[0] == package for name in own):
        found = source.module in own
    else:
        found = installed
    if found:
        return None if installed else _out_of_sight(project, source.module)
    return (
        f"the module {source.module!r} of the schema {schema!r} is neither in the project nor "
        "installed here, so that pytest would not import it"
    )


def _out_of_sight(project: Project, module: str) -> str | None:
    """pytest's ``pythonpath`` may stand in another file, so this is no more than a reminder."""
    path = next(one.path for one in project.sources if one.module == module)
    listed = {str(PurePosixPath(entry)) for entry in python_path(project.settings)}
    if not path.startswith("src/") or "src" in listed:
        return None
    return (
        f"the module {module!r} lies in src/, which pytest does not search by itself: install the "
        'project, or write `pythonpath = ["src"]` below [tool.pytest.ini_options]'
    )
