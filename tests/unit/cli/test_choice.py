"""What is said of a schema that the user chose, or that was proposed."""

from __future__ import annotations

import pytest

from pytest_slipstream.cli.discovery import choice
from pytest_slipstream.errors import ConfigurationError

MODELS = {
    "pyproject.toml": "[tool.pytest.ini_options]\npythonpath = ['./src/']\n",
    "src/shop/__init__.py": "",
    "src/shop/models.py": "tables = []\n",
    "schema.sql": "",
    "migrations/1.sql": "",
}


@pytest.mark.parametrize(
    "schema", ["shop.models:tables", "shop:make", "json:loads", "schema.sql", "migrations/"]
)
def test_what_pytest_would_find_is_not_doubted(tree, schema):
    assert choice.doubt(tree(MODELS), schema) is None


def test_a_package_in_src_that_pytest_does_not_search_is_pointed_at(tree):
    doubt = choice.doubt(tree(MODELS | {"pyproject.toml": ""}), "shop.models:tables")
    assert doubt is not None
    assert doubt.startswith("the module 'shop.models' lies in src/, which pytest does not search")
    assert 'write `pythonpath = ["src"]`' in doubt


@pytest.mark.parametrize("module", ["shop.model", "shoop.models", "schema"])
def test_a_module_that_is_nowhere_is_named(tree, module):
    assert choice.doubt(tree(MODELS), f"{module}:tables") == (
        f"the module {module!r} of the schema '{module}:tables' is neither in the project nor "
        "installed here, so that pytest would not import it"
    )


def test_a_file_may_be_written_later(tree):
    assert choice.doubt(tree(MODELS), "db/schema.sql") == "db/schema.sql is not there yet"


def test_a_text_of_no_valid_form_is_refused(tree):
    with pytest.raises(ConfigurationError, match="names a module and no object"):
        choice.doubt(tree(MODELS), "shop.models")
