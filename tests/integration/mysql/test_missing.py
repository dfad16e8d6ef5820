"""A run on a machine that has no MariaDB and no MySQL."""

from __future__ import annotations

import pytest

from projects import DATABASES, Project


@pytest.fixture
def project(
    pytester: pytest.Pytester, monkeypatch: pytest.MonkeyPatch, require_mysql: None
) -> Project:
    """Neither in PATH nor where systems install them."""
    found = Project(pytester, DATABASES["mysql"])
    found.write(
        {
            "nowhere.py": """
                from pytest_slipstream.databases.servers import mysql_binaries

                mysql_binaries._SYSTEM = ("/nowhere",)
            """
        }
    )
    monkeypatch.setenv("PYTHONPATH", str(found.path))
    monkeypatch.setenv("PATH", "/nowhere")
    monkeypatch.delenv("SLIPSTREAM_MYSQL_BIN", raising=False)
    return found


def test_what_to_install_is_said(project: Project) -> None:
    result = project.run("-p", "nowhere", tests="def test_it(db): pass")
    result.assert_outcomes(errors=1)
    result.stdout.fnmatch_lines(
        [
            '*there is no MariaDB or MySQL on this machine for `server = "embedded"`*/nowhere*',
            "*hint: Debian, Ubuntu: apt-get install mariadb-server-core; "
            "Homebrew: brew install mariadb; docker: docker run -d -p 3306:3306 *",
        ]
    )
