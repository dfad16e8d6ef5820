"""Which files a module imports, compared with what Python really loads."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest

from pytest_slipstream.databases.imports import Import, closure, imports_of
from pytest_slipstream.databases.modules import Resolver


def write(root: Path, files: dict[str, str]) -> None:
    for name, text in files.items():
        path = root / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(text)


def followed(root: Path, *modules: str, scripts: tuple[str, ...] = ()) -> set[str]:
    found = closure(
        modules,
        [str(root / script) for script in scripts],
        Resolver([str(root), *sys.path]),
        lambda file: imports_of(Path(file).read_bytes()),
    )
    return {Path(file).relative_to(root).as_posix() for file in found.files}


def really_loaded(root: Path, module: str) -> set[str]:
    """What Python loads from ``root`` when it imports ``module`` in a fresh process."""
    code = (
        f"import sys; sys.path.insert(0, {str(root)!r}); import {module}\n"
        "for m in list(sys.modules.values()): print(getattr(m, '__file__', None))"
    )
    output = subprocess.run(
        [sys.executable, "-c", code], capture_output=True, text=True, check=True
    ).stdout
    paths = [Path(line) for line in output.splitlines() if line != "None"]
    return {path.relative_to(root).as_posix() for path in paths if path.is_relative_to(root)}


def test_import_statements_are_read() -> None:
    source = b"""
import a.b, c as d
from . import e
from ..f import g as h, i
from j import *
def later():
    import k
    return importlib.import_module(".l", __package__), __import__("m"), import_module(name)
"""
    assert set(imports_of(source)) == {
        Import("a.b"),
        Import("c"),
        Import("", 1, ("e",)),
        Import("f", 2, ("g", "i")),
        Import("j", 0, ("*",)),
        Import("k"),
        Import("l", 1),
        Import("m"),
    }


@pytest.mark.parametrize("source", [b"def f(:", b"\0", b"\xff\xfe", b"(" * 3000, b"x = '\\d'"])
def test_what_does_not_parse_imports_nothing(source: bytes) -> None:
    assert imports_of(source) == ()


PROJECT = {
    "app/__init__.py": "from app.settings import DEBUG",
    "app/settings.py": "import os; DEBUG = os.environ.get('X')",
    "app/unused.py": "",
    "app/models/__init__.py": "from .user import User\nfrom app.models import order",
    "app/models/user.py": "from . import base\nfrom ..types.money import Money\nclass User: ...",
    "app/models/order.py": "from .base import Base as B, nothing_here\nimport app.types.later",
    "app/models/base.py": "nothing_here = Base = object\nimport json, shared, json as os",
    "app/types/money.py": "Money = int",
    "app/types/later.py": "def f():\n    from app.lazily import x",
    "app/lazily.py": "x = 1",
    "shared.py": "from app.settings import DEBUG",
}


def test_the_closure_covers_what_python_loads(tmp_path: Path) -> None:
    write(tmp_path, PROJECT)
    loaded = really_loaded(tmp_path, "app.models")
    assert loaded == set(PROJECT) - {"app/unused.py", "app/lazily.py"}
    assert followed(tmp_path, "app.models") == loaded | {"app/lazily.py"}


def test_a_target_that_is_a_package_counts_whole(tmp_path: Path) -> None:
    write(
        tmp_path,
        {
            "app/__init__.py": "",
            "app/other.py": "",
            "app/models/__init__.py": "",
            "app/models/user.py": "",
            "app/models/deep/order.py": "",
            "app/models/deep/__init__.py": "",
            "app/models/data/rows.csv": "",
        },
    )
    assert followed(tmp_path, "app.models") == {
        "app/__init__.py",
        "app/models/__init__.py",
        "app/models/user.py",
        "app/models/deep/__init__.py",
        "app/models/deep/order.py",
    }


@pytest.mark.parametrize(
    "loop",
    [
        "import pkgutil, app.models\nfor m in pkgutil.iter_modules(app.models.__path__): ...",
        "from pkgutil import walk_packages\nfrom app import models\nwalk_packages(models.__path__)",
        "from app.models import *",
    ],
)
def test_a_loop_over_a_package_counts_all_of_it(tmp_path: Path, loop: str) -> None:
    write(
        tmp_path,
        {
            "schema.py": loop,
            "app/__init__.py": "",
            "app/models/__init__.py": "",
            "app/models/user.py": "",
        },
    )
    assert "app/models/user.py" in followed(tmp_path, "schema")


def test_namespace_packages_are_found_in_all_their_parts(tmp_path: Path) -> None:
    write(tmp_path, {"one/space/a.py": "from space import b", "two/space/b.py": ""})
    found = closure(
        ["space.a"],
        [],
        Resolver([str(tmp_path / "one"), str(tmp_path / "two")]),
        lambda file: imports_of(Path(file).read_bytes()),
    )
    assert found.files == {
        str(tmp_path / "one/space/a.py"),
        str(tmp_path / "two/space/b.py"),
    }


def test_a_regular_package_wins_over_a_directory_found_earlier(tmp_path: Path) -> None:
    write(tmp_path, {"one/app/readme.txt": "", "two/app/__init__.py": ""})
    place = Resolver([str(tmp_path / "one"), str(tmp_path / "two")]).find("app")
    assert place is not None
    assert place.file == str(tmp_path / "two/app/__init__.py")


def test_installed_packages_are_named_and_not_followed(tmp_path: Path) -> None:
    write(tmp_path, {"models.py": "import sys, json, sqlalchemy.orm\nfrom msgspec import Struct"})
    found = closure(
        ["models"],
        [],
        Resolver([str(tmp_path), *sys.path]),
        lambda file: imports_of(Path(file).read_bytes()),
    )
    assert found.files == {str(tmp_path / "models.py")}
    assert found.foreign == {"sqlalchemy", "msgspec"}


def test_import_cycles_end_and_missing_modules_are_passed_over(tmp_path: Path) -> None:
    write(tmp_path, {"a.py": "import b, gone.completely", "b.py": "from a import x"})
    assert followed(tmp_path, "a") == {"a.py", "b.py"}


def test_scripts_are_followed_by_their_path(tmp_path: Path) -> None:
    write(tmp_path, {"migrations/env.py": "from app import models", "app/models.py": ""})
    assert followed(tmp_path, scripts=("migrations/env.py",)) == {
        "migrations/env.py",
        "app/models.py",
    }


@pytest.mark.parametrize(
    "module", ["json.decoder", "msgspec", "pytest", "_pytest.config.argparsing"]
)
def test_places_agree_with_pythons_own_finder(module: str) -> None:
    __import__(module)
    place = Resolver(sys.path).find(module)
    assert place is not None
    assert place.file == sys.modules[module].__file__
    assert place.foreign
