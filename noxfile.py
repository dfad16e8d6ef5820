"""The project's checks by name. ``nox -s ci`` is what CI runs; ``.ci/run`` needs only Python."""

from __future__ import annotations

import re
import sys
from pathlib import Path

import nox

nox.options.sessions = ["lint", "tests-3.13"]
nox.options.reuse_existing_virtualenvs = True

PYTHONS = ("3.10", "3.11", "3.12", "3.13")
PYPROJECT = nox.project.load_toml("pyproject.toml")


def _install(session: nox.Session, *constraints: str) -> None:
    session.install("--upgrade", "pip")  # --group came with pip 25.1
    session.install(
        "-e", ".[mysql,peewee,postgresql,queue,sqlalchemy]", "--group", "test", *constraints
    )


@nox.session(python=False)
def ci(session: nox.Session) -> None:
    """Everything that CI runs, by the same script."""
    session.run("bash", ".ci/run", external=True)


@nox.session(python=PYTHONS)
def tests(session: nox.Session) -> None:
    """All tests on one Python; arguments go to pytest."""
    _install(session)
    session.run("pytest", "-n", "2", *session.posargs)


@nox.session(python=("3.10", "3.13"))
def lowest(session: nox.Session) -> None:
    """All tests with the oldest versions that ``pyproject.toml`` allows."""
    constraints = Path(session.create_tmp()) / "floors.txt"
    constraints.write_text("\n".join(_floors()), encoding="utf-8")
    _install(session, "--constraint", str(constraints))
    session.run("pytest", "-n", "2", *session.posargs)


def _floors() -> list[str]:
    """``name>=1.2`` of what the package itself imports, as ``name==1.2``.

    Not SQLAlchemy's: the tests' own models need 2.0, the package works from 1.4 on.
    """
    project = PYPROJECT["project"]
    extras = project["optional-dependencies"]
    needed = [extras[name] for name in ("postgresql", "mysql", "queue")]
    declared = [*project["dependencies"], *(text for extra in needed for text in extra)]
    found = (re.match(r"([\w.-]+)(?:\[\w+\])?>=([\w.]+)", text) for text in declared)
    drivers = ['asyncpg==0.28.0; python_version < "3.12"']  # whose pool is another one
    return [*(f"{match[1]}=={match[2]}" for match in found if match), *drivers]


@nox.session
def lint(session: nox.Session) -> None:
    """Style, types, floors."""
    session.install("--upgrade", "pip")
    session.install("-e", ".[mysql,peewee,postgresql,queue,sqlalchemy]", "--group", "lint")
    session.run("ruff", "check")
    session.run("ruff", "format", "--check")
    session.run("mypy")
    session.run("lint-imports")


@nox.session
def docs(session: nox.Session) -> None:
    """Run what the documentation shows, and check that the reference page is current."""
    _install(session)
    session.run("python", "docs/generate_reference.py", "--check")
    session.run("pytest", "tests/docs", *session.posargs)


@nox.session
def audit_deep(session: nox.Session) -> None:
    """20,000 random programs against every strategy; takes long."""
    _install(session)
    session.run(
        "pytest",
        "tests/contract",
        "--hypothesis-profile",
        "deep",
        "--timeout",
        "0",
        *session.posargs,
    )


if __name__ == "__main__":
    sys.exit(nox.main())
