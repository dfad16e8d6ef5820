"""How ``module:object`` is found, told apart and called."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import pytest
import sqlalchemy
import sqlmodel
from sqlalchemy.orm import DeclarativeBase

from pytest_slipstream.databases.sources import ObjectSource, decode
from pytest_slipstream.databases.sources.objects import bind, is_metadata, load, parts
from pytest_slipstream.errors import TemplateError

URL = "sqlite:///x.db"


class Base(DeclarativeBase):
    pass


class Namespace:
    metadata = "not a MetaData"


def source(text: str) -> ObjectSource:
    decoded = decode(text, "schema")
    assert isinstance(decoded, ObjectSource)
    return decoded


@pytest.fixture
def project(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.syspath_prepend(str(tmp_path))
    return tmp_path


def test_an_attribute_path_is_followed(project: Path) -> None:
    project.joinpath("objects_path.py").write_text("class A:\n    class b:\n        c = 7\n")
    assert load(source("objects_path:A.b.c")) == 7


def test_a_missing_module_names_the_way_modules_are_found() -> None:
    with pytest.raises(TemplateError, match=r"schema 'no_such\.models:Base': module") as caught:
        load(source("no_such.models:Base"))
    assert "No module named 'no_such'" in caught.value.message
    assert "pythonpath" in (caught.value.hint or "")


def test_an_import_that_fails_inside_names_the_line_and_is_chained(project: Path) -> None:
    project.joinpath("objects_broken.py").write_text("x = 1\nimport not_installed_here\n")
    with pytest.raises(TemplateError) as caught:
        load(source("objects_broken:Base"))
    assert "No module named 'not_installed_here'" in caught.value.message
    assert f"{project / 'objects_broken.py'}:2" in caught.value.message
    assert caught.value.hint == "install not_installed_here where pytest runs"
    assert isinstance(caught.value.__cause__, ModuleNotFoundError)


@pytest.mark.parametrize("body", ["raise SystemExit(3)", "1 / 0", "def f(:"])
def test_whatever_an_import_raises_is_a_template_error(
    project: Path, body: str, request: pytest.FixtureRequest
) -> None:
    name = f"objects_raises_{request.node.callspec.indices['body']}"
    project.joinpath(f"{name}.py").write_text(body + "\n")
    with pytest.raises(TemplateError, match="does not import"):
        load(source(f"{name}:x"))


def test_a_missing_attribute_lists_near_names(project: Path) -> None:
    project.joinpath("objects_near.py").write_text("class Base:\n    metadata = 1\n")
    with pytest.raises(TemplateError, match="module 'objects_near' has no attribute") as caught:
        load(source("objects_near:Bass"))
    assert caught.value.hint == "near names: 'Base'"
    with pytest.raises(TemplateError, match=r"'s 'Base' has no attribute 'meta_data'") as caught:
        load(source("objects_near:Base.meta_data"))
    assert caught.value.hint == "near names: 'metadata'"


@pytest.mark.parametrize(
    "value",
    [Base.metadata, Base, sqlmodel.SQLModel, sqlalchemy.MetaData(), sqlalchemy.orm.registry()],
)
def test_metadata_is_found_where_it_is_kept(value: object) -> None:
    (part,) = parts(value)
    assert is_metadata(part)


def test_lists_are_flattened_in_order() -> None:
    first, second = sqlalchemy.MetaData(), sqlalchemy.MetaData()
    assert list(parts([first, (second, print)])) == [first, second, print]


def test_other_kinds_are_none() -> None:
    assert list(parts(["text", 3, None])) == [None, None, None]
    assert not any(map(is_metadata, parts(["text", print, Namespace])))


def takes_url(url: str) -> object:
    return url


def takes_other_name(where: str, echo: bool = False) -> object:
    return where


def takes_optional_url(url: str = "default") -> object:
    return url


def takes_any(*arguments: object) -> object:
    return arguments[0]


def takes_nothing() -> object:
    return "called"


def takes_options(echo: object = "kept") -> object:
    return echo


@pytest.mark.parametrize(
    ("function", "result"),
    [
        (takes_url, URL),
        (takes_other_name, URL),
        (takes_optional_url, URL),
        (takes_any, URL),
        (takes_nothing, "called"),
        (takes_options, "kept"),
        (str, URL),
    ],
)
def test_a_callable_gets_the_url_when_it_takes_one(
    function: Callable[..., object], result: object
) -> None:
    assert bind(source("a:b"), function, URL)() == result


def needs_two(url: str, other: str) -> None:
    raise AssertionError


def needs_keyword(*, engine: object) -> None:
    raise AssertionError


@pytest.mark.parametrize("function", [needs_two, needs_keyword])
def test_a_callable_that_needs_more_is_refused(function: Callable[..., object]) -> None:
    with pytest.raises(TemplateError, match="is called with the database's URL alone"):
        bind(source("a:b"), function, URL)
