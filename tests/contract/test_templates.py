"""Templates: published whole or not at all, built once, and never dropped while they are used."""

from __future__ import annotations

import subprocess
import sys
import time
from pathlib import Path

import pytest
from tests.contract.conftest import Product, build, new_template_name, quiet

from pytest_slipstream.databases.engines.protocol import Engine, ScriptError

OTHER_PROCESS = Path(__file__).with_name("other_process.py")


def names(engine: Engine) -> set[str]:
    return {template.name for template in engine.templates()}


def test_a_template_is_there_once_it_is_published(engine: Engine, product: Product) -> None:
    template = new_template_name()
    assert not engine.has_template(template)
    with engine.build_lock(template):
        address = engine.begin_build(template)
        engine.run_script(address, product.schema)
        assert not engine.has_template(template)
        assert template not in names(engine)
        engine.publish(template, "main", "the fingerprint")
    assert engine.has_template(template)
    (info,) = [each for each in engine.templates() if each.name == template]
    assert (info.database, info.fingerprint) == ("main", "the fingerprint")
    assert info.size_bytes > 0
    assert abs(info.used_at - time.time()) < 60


def test_a_template_can_be_used_by_another_process_of_another_run(
    engine: Engine, product: Product, template: str, shared_cache_dir: Path
) -> None:
    other = product.load_other(shared_cache_dir)
    other.open(quiet)
    assert other.has_template(template)
    other.close()


def test_an_abandoned_build_leaves_nothing(engine: Engine, product: Product) -> None:
    template = new_template_name()
    with engine.build_lock(template):
        address = engine.begin_build(template)
        engine.run_script(address, product.schema)
        engine.abandon_build(template)
    assert not engine.has_template(template)
    assert build(engine, product, template) in names(engine)


def test_a_half_built_template_is_dropped_by_the_next_builder(
    engine: Engine, product: Product
) -> None:
    template = new_template_name()
    with engine.build_lock(template):
        engine.run_script(engine.begin_build(template), product.schema)
    assert not engine.has_template(template)
    build(engine, product, template)  # the schema again: it fails if the tables are there
    assert engine.has_template(template)


def test_two_processes_build_a_template_once(process_arguments: list[str]) -> None:
    arguments = [sys.executable, str(OTHER_PROCESS), *process_arguments, new_template_name()]
    builders = [
        subprocess.Popen([*arguments, "build"], stdout=subprocess.PIPE, text=True) for _ in range(2)
    ]
    assert sorted(builder.communicate(timeout=60)[0].strip() for builder in builders) == [
        "built",
        "reused",
    ]


def test_a_template_that_nobody_uses_is_dropped(
    engine: Engine, process_arguments: list[str]
) -> None:
    template = new_template_name()
    subprocess.run(
        [sys.executable, str(OTHER_PROCESS), *process_arguments, template, "build"],
        check=True,
        stdout=subprocess.DEVNULL,
        timeout=60,
    )
    assert template in names(engine)
    assert engine.drop_template(template)
    assert template not in names(engine)
    assert not engine.drop_template(template)


@pytest.mark.parametrize(
    ("script", "lines", "start"),
    [
        (
            "SELECT 1;\n\n-- a comment; with a semicolon\nSELECT nothing_like_it;",
            {4},
            "SELECT nothing",
        ),
        (
            "CREATE TABLE one (a integer);\nINSERT INTO one\nVALUES ('a' || ;\n",
            {2, 3},
            "INSERT INTO one",
        ),
        ("/* two\nlines */ SELECT ';';\nSELEKT 2;\nSELECT 3;", {3}, "SELEKT 2"),
    ],
    ids=["unknown column", "syntax over lines", "block comment"],
)
def test_a_script_error_names_its_statement_and_line(
    engine: Engine, script: str, lines: set[int], start: str
) -> None:
    template = new_template_name()
    with engine.build_lock(template):
        address = engine.begin_build(template)
        with pytest.raises(ScriptError) as raised:
            engine.run_script(address, script)
        engine.abandon_build(template)
    assert raised.value.line in lines  # the statement's, or the one the server points at
    assert raised.value.message
    assert raised.value.statement.startswith(start)
