"""Flask-SQLAlchemy: a factory, its scoped session and application contexts, as they are."""

from __future__ import annotations

import pytest

from projects import Project

CONFIGURATION = """
    [tool.slipstream.databases.main]
    engine = "{engine}"
    schema = "shop.models:db.metadata"
    seed = "shop.models:fill"
    env = {{ SQLALCHEMY_DATABASE_URI = "{{url}}" }}
"""
SHOP = {
    "shop/__init__.py": """
        import os

        from flask import Flask, request

        from shop.models import User, db


        def create_app():
            app = Flask(__name__)
            app.config["SQLALCHEMY_DATABASE_URI"] = os.environ["SQLALCHEMY_DATABASE_URI"]
            db.init_app(app)

            @app.post("/users")
            def add():
                db.session.add(User(name=request.json["name"], role_id=1))
                db.session.commit()
                return {"users": [user.name for user in db.session.scalars(db.select(User))]}

            return app
    """,
    "shop/models.py": """
        from flask_sqlalchemy import SQLAlchemy

        db = SQLAlchemy()


        class Role(db.Model):
            id = db.Column(db.Integer, primary_key=True)
            name = db.Column(db.String(20), unique=True)


        class User(db.Model):
            id = db.Column(db.Integer, primary_key=True)
            name = db.Column(db.String(20), unique=True)
            role_id = db.Column(db.ForeignKey("role.id"))


        def fill():
            # By the application itself, as its own scripts would.
            from shop import create_app

            with create_app().app_context():
                db.session.add(Role(name="admin"))
                db.session.commit()
    """,
}
TESTS = """
    import pytest
    from sqlalchemy import text
    from sqlalchemy.exc import IntegrityError

    from shop import create_app
    from shop.models import Role, User, db


    @pytest.fixture(scope="session")
    def app():
        return create_app()

    @pytest.fixture
    def client(app):
        return app.test_client()

    @pytest.fixture
    def context(app):
        with app.app_context():
            yield

    @pytest.mark.parametrize("n", range(3))
    def test_requests_commit(client, n):
        assert client.post("/users", json={"name": "ada"}).json == {"users": ["ada"]}

    @pytest.mark.parametrize("n", range(2))
    def test_the_tests_session_and_a_requests_see_each_other(context, client, n):
        db.session.add(User(name="bob", role_id=1))
        db.session.commit()
        assert client.post("/users", json={"name": "ada"}).json == {"users": ["bob", "ada"]}
        assert [user.id for user in db.session.scalars(db.select(User))] == [1, 2]

    @pytest.mark.parametrize("n", range(2))
    def test_a_session_is_left_after_an_error(context, n):
        db.session.add_all([User(name="eve"), User(name="eve")])
        with pytest.raises(IntegrityError):
            db.session.commit()

    @pytest.mark.parametrize("n", range(2))
    def test_a_context_is_left_in_a_transaction(app, n):
        app.app_context().push()
        db.session.add(User(name="eve"))
        db.session.flush()

    @pytest.mark.parametrize("n", range(2))
    def test_ddl(context, n):
        db.session.execute(text("CREATE TABLE extra (a INTEGER)"))
        db.session.commit()

    def test_last(context):
        assert db.session.scalars(db.select(User)).all() == []
        assert [role.name for role in db.session.scalars(db.select(Role))] == ["admin"]
"""


@pytest.mark.parametrize("engine", ["postgresql", "sqlite"])
def test_flask_sqlalchemy(pytester: pytest.Pytester, cache_dir: object, engine: str) -> None:
    project = Project(pytester, CONFIGURATION.format(engine=engine))
    project.write(SHOP)
    result = project.run("-Werror", "-pno:asyncio", "--slipstream-audit", tests=TESTS)
    result.assert_outcomes(passed=12)
