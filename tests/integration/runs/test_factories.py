"""Whole runs: what factories make in a test depends on nothing but the test."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from projects import DATABASES, Project

FILES = {
    "conftest.py": """
        import json, os, random
        from pathlib import Path

        import factory
        import pytest
        from factory import fuzzy
        from faker import Faker
        from polyfactory.factories import DataclassFactory
        from app import things

        fake = Faker()


        class UserFactory(factory.Factory):
            class Meta:
                model = things.User

            number = factory.Sequence(int)
            name = factory.Faker("name")
            colour = fuzzy.FuzzyChoice(range(1000))


        class SpecialFactory(UserFactory):
            class Meta:
                model = things.Special


        class ThingFactory(DataclassFactory[things.Thing]):
            __model__ = things.Thing


        def drawn():
            return [random.random(), fake.name(), vars(ThingFactory.build())]


        def made():
            counted = [fake.unique.random_int(0, 40), vars(UserFactory()), vars(SpecialFactory())]
            return drawn() + counted


        @pytest.fixture(scope="session", autouse=True)
        def everybody():
            return made()


        @pytest.fixture(scope="module")
        def module_data():
            return drawn()


        @pytest.fixture
        def note(request):
            def write(*data):
                name = f"{os.environ['MADE']}-{os.environ.get('PYTEST_XDIST_WORKER', 'main')}"
                with open(name, "a") as file:
                    file.write(json.dumps([request.node.nodeid, data]) + chr(10))
            return write


        @pytest.hookimpl(trylast=True)
        def pytest_collection_modifyitems(items):
            if "REVERSED" in os.environ:
                items.reverse()
    """,
    "app/things.py": """
        from dataclasses import dataclass


        @dataclass
        class User:
            number: int
            name: str
            colour: int


        class Special(User):
            pass


        @dataclass
        class Thing:
            text: str
            size: int
    """,
    "test_one.py": """
        import pytest
        from conftest import fake, made

        @pytest.mark.parametrize("name", [fake.name(), fake.name()])
        def test_parametrised(name, note):
            note(made())

        @pytest.mark.parametrize("number", range(5))
        def test_many(number, note):
            note(made(), made())

        def test_wide(everybody, module_data, note):
            note(everybody, module_data, made())
    """,
    "test_two.py": """
        from conftest import fake, made

        def test_wide(everybody, module_data, note):
            note(everybody, module_data, made())

        def test_in_the_body(request, note):
            note(made(), request.getfixturevalue("module_data"), made())

        def test_many_unique_values(everybody, note):
            assert len({fake.unique.random_int(0, 40) for _ in range(30)}) == 30
            note(made())
    """,
}


@pytest.fixture
def project(pytester: pytest.Pytester) -> Project:
    project = Project(pytester, DATABASES["sqlite"])
    project.write(FILES)
    return project


def made(
    project: Project, monkeypatch: pytest.MonkeyPatch, *args: str, **variables: str
) -> dict[str, object]:
    """What every test of a run made."""
    number = len(list(project.path.glob("made-*")))
    prefix = project.path / f"made-{number}"
    with monkeypatch.context() as patch:
        for name, value in {"MADE": str(prefix), **variables}.items():
            patch.setenv(name, value)
        result = project.run(*args)
    assert result.ret == 0
    files = project.path.glob(f"{prefix.name}-*")
    lines = [line for file in files for line in Path(file).read_text().splitlines()]
    return dict(json.loads(line) for line in lines)


def test_in_every_order_on_every_worker_and_alone(
    project: Project, monkeypatch: pytest.MonkeyPatch
):
    all_made = made(project, monkeypatch)
    assert len(all_made) == 11
    assert len({json.dumps(data) for data in all_made.values()}) == 11
    assert made(project, monkeypatch, REVERSED="1") == all_made
    assert made(project, monkeypatch, "-n2") == all_made
    for test in ("test_one.py::test_many[3]", "test_two.py::test_wide"):
        assert made(project, monkeypatch, test)[test] == all_made[test]


def test_off(project: Project, monkeypatch: pytest.MonkeyPatch):
    once = made(project, monkeypatch, "--no-slipstream-seed-factories", "test_two.py")
    again = made(project, monkeypatch, "--no-slipstream-seed-factories", "test_two.py")
    assert once.keys() == again.keys()
    assert once != again


def test_what_a_wider_fixture_took_is_not_given_again(project: Project):
    result = project.run(
        "test_it.py",
        tests="""
            import pytest
            from conftest import UserFactory, fake

            @pytest.fixture(scope="class", params=[1, 2])
            def taken(request):
                return UserFactory().number, {fake.unique.random_int(0, 9) for _ in range(5)}

            class TestTaken:
                @pytest.mark.parametrize("test", range(2))
                def test(self, taken, test):
                    assert taken[0] == 2  # after those of the session's
                    assert UserFactory().number == 3
                    assert not taken[1] & {fake.unique.random_int(0, 9) for _ in range(5)}

            def test_when_it_is_gone():
                assert UserFactory().number == 2
        """,
    )
    result.assert_outcomes(passed=5)
