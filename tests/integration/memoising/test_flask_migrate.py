"""Suites whose applications migrate by Flask-Migrate, as its own template of ``env.py`` does it."""

from __future__ import annotations

import shutil
from pathlib import Path

import flask_migrate
import pytest

from memoised import NewDatabase
from migrating import Chain
from projects import Project
from pytest_slipstream.databases.urls import url

SUITE = """
    import os

    import flask_migrate
    import pytest
    from flask import Flask
    from flask_sqlalchemy import SQLAlchemy
    from sqlalchemy import inspect, text

    db = SQLAlchemy()
    migrate = flask_migrate.Migrate(compare_type=True)


    def new_app(uri):
        app = Flask(__name__)
        app.config["SQLALCHEMY_DATABASE_URI"] = uri
        db.init_app(app)
        migrate.init_app(app, db)
        return app


    @pytest.fixture(params=["sqlite", "file", "server"])
    def app(request, tmp_path):
        uris = {"file": f"sqlite:///{tmp_path}/own.db", "server": os.environ["SERVER"]}
        app = new_app(uris.get(request.param, "sqlite://"))
        with app.app_context():
            flask_migrate.upgrade()
            yield app
            flask_migrate.downgrade(revision="base")
            assert inspect(db.engine).get_table_names() == ["alembic_version"]
            db.engine.dispose()


    @pytest.mark.parametrize("number", range(6))
    def test_adds(app, number):
        db.session.execute(text("INSERT INTO person (name) VALUES ('Ada')"))
        db.session.commit()
        assert db.session.execute(text("SELECT max(id) FROM person")).scalar_one() == 1
        db.session.remove()
        flask_migrate.stamp(revision="r1")
        assert flask_migrate.current() is None
        flask_migrate.stamp()
"""


def test_up_and_down_for_each_test(
    pytester: pytest.Pytester, monkeypatch: pytest.MonkeyPatch, new_mysql_database: NewDatabase
) -> None:
    monkeypatch.setenv("SERVER", url(new_mysql_database(), driver="pymysql"))
    project = Project(pytester, "")
    chain = Chain(project.path)
    chain.add_table("person")
    chain.add_table("purchase", "person")
    templates = Path(flask_migrate.__file__).parent / "templates" / "flask"
    shutil.copy(templates / "env.py", chain.directory)
    shutil.copy(templates / "alembic.ini.mako", chain.directory / "alembic.ini")

    result = project.run("--slipstream-memoize", "--slipstream-audit", tests=SUITE)

    result.assert_outcomes(passed=18)
    result.stdout.fnmatch_lines(
        [
            "alembic downgrade on MySQL or MariaDB: replaced 4 times*",
            "alembic downgrade on SQLite: replaced 8 times*",
            "alembic stamp on MySQL or MariaDB: replaced * times*",
            "alembic stamp on SQLite: replaced * times*",
            "alembic upgrade on MySQL or MariaDB: replaced 3 times*",
            "alembic upgrade on SQLite: replaced 8 times*",
        ]
    )
    result.stdout.no_fnmatch_line("operations on the schema that ran as written*")
