"""When a template is built, reused and collected."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import textwrap
from typing import TYPE_CHECKING

import pytest

from pytest_slipstream.databases import naming
from pytest_slipstream.errors import TemplateError

if TYPE_CHECKING:
    from conftest import Bench

MODELS = """
    from sqlalchemy import Column, Integer, String, Table

    from app.base import metadata
    from app.types import NAME_LENGTH

    users = Table("users", metadata, Column("id", Integer, primary_key=True),
                  Column("name", String(NAME_LENGTH)))
"""


@pytest.fixture
def project(bench: Bench) -> Bench:
    bench.write(
        {
            "app/__init__.py": "",
            "app/base.py": "from sqlalchemy import MetaData\nmetadata = MetaData()\n",
            "app/types.py": "NAME_LENGTH = 20\n",
            "app/models.py": MODELS,
            "app/views.py": "import app.models\n",
        }
    )
    bench.configure(schema=("app.models:metadata",))
    return bench


def test_a_second_run_builds_nothing(project: Bench) -> None:
    first = project.ready()
    assert project.ready() == first
    assert project.built == [True, False]
    assert project.rows("SELECT id, name FROM users") == []


def test_a_changed_column_builds_one_new_template(project: Bench) -> None:
    first = project.ready()
    project.write({"app/models.py": MODELS.replace('"name"', '"full_name"')})
    second = project.ready()
    assert second != first
    assert project.rows("SELECT full_name FROM users") == []
    project.write({"app/models.py": MODELS})
    assert project.ready() == first
    assert project.built == [True, True, False, False]


def test_a_change_in_an_imported_file_builds_a_new_template(project: Bench) -> None:
    first = project.ready()
    project.write({"app/types.py": "NAME_LENGTH = 30\n"})
    assert project.ready() != first


def test_a_change_in_a_file_that_is_not_imported_builds_nothing(project: Bench) -> None:
    first = project.ready()
    project.write({"app/views.py": "import app.models, json\n"})
    assert project.ready() == first


def test_a_file_named_by_the_user_counts(project: Bench) -> None:
    project.configure(fingerprint=("data/**/*.csv",))
    first = project.ready()
    project.write({"data/deep/rows.csv": "1,2\n"})
    second = project.ready()
    project.write({"data/deep/rows.csv": "1,3\n"})
    assert len({first, second, project.ready()}) == 3


def test_the_least_recently_used_templates_are_collected(project: Bench) -> None:
    project.configure(keep_templates=2)
    names = []
    for length in (20, 21, 20, 22):
        project.write({"app/types.py": f"NAME_LENGTH = {length}\n"})
        names.append(project.ready())
    assert project.built == [True, True, False, True]
    assert project.collected == [names[1]]
    with project.engine() as engine:
        kept = {info.name for info in engine.templates() if info.database == project.key}
    assert kept == {names[0], names[3]}


def test_templates_of_other_databases_are_left_alone(project: Bench) -> None:
    project.configure(keep_templates=1)
    first = project.ready()
    key, project.key = project.key, f"{project.key}x"
    project.ready()
    project.write({"app/types.py": "NAME_LENGTH = 21\n"})
    project.ready()
    project.key = key
    with project.engine() as engine:
        assert engine.has_template(first)


def test_what_fails_leaves_nothing_and_can_be_mended(project: Bench) -> None:
    project.configure(seed=("app.seed:fill",))
    project.write({"app/seed.py": "def fill(url):\n    raise RuntimeError('no roles')\n"})
    with pytest.raises(TemplateError, match="no roles"):
        project.ready()
    with project.engine() as engine:
        assert not [info for info in engine.templates() if info.database == project.key]
    project.write({"app/seed.py": "def fill(url): ...\n"})
    project.ready()
    assert project.built == [True]


def test_ctrl_c_in_mid_build_leaves_nothing(project: Bench) -> None:
    project.configure(seed=("app.seed:fill",))
    project.write({"app/seed.py": "def fill(url):\n    raise KeyboardInterrupt\n"})
    with pytest.raises(KeyboardInterrupt):
        project.ready()
    with project.engine() as engine:
        assert not [info for info in engine.templates() if info.database == project.key]


PROCESS = """
    import sys
    from pathlib import Path
    import msgspec
    from conftest import Bench
    from pytest_slipstream.settings import DatabaseSettings

    key, root, cache_dir, settings = sys.argv[1:]
    settings = msgspec.json.decode(settings, type=DatabaseSettings)
    bench = Bench(Path(root), Path(cache_dir), settings.engine)
    bench.key, bench.settings = key, settings
    bench.say = lambda message: message.startswith("waiting") and print(message, flush=True)
    bench.ready()
    print(bench.built)
"""


def start(bench: Bench) -> subprocess.Popen[str]:
    """Get or build the template in another process."""
    import msgspec

    settings = msgspec.json.encode(bench.settings).decode()
    here = os.path.dirname(__file__)  # noqa: PTH120
    return subprocess.Popen(
        [sys.executable, "-c", textwrap.dedent(PROCESS), bench.key, str(bench.root),
         str(bench.cache_dir), settings],
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
        env={**os.environ, "PYTHONPATH": here},
    )  # fmt: skip


SLOW_SEED = """
    import time
    from pathlib import Path

    def fill(url):
        here = Path(__file__).parent
        (here / "started").touch()
        while not (here / "go").exists():
            time.sleep(0.01)
"""


def wait_for(path: object, process: subprocess.Popen[str]) -> None:
    while not path.exists():  # type: ignore[attr-defined]
        assert process.poll() is None, process.communicate()
        os.sched_yield()


def test_of_two_processes_one_builds_and_the_other_waits(project: Bench) -> None:
    project.configure(seed=("app.seed:fill",))
    project.write({"app/seed.py": SLOW_SEED})
    first = start(project)
    wait_for(project.root / "app/started", first)
    second = start(project)
    assert second.stdout is not None
    assert second.stdout.readline() == "waiting for the template that another process builds\n"
    (project.root / "app/go").touch()
    assert first.communicate(timeout=60) == ("[True]\n", "")
    assert second.communicate(timeout=60) == ("[False]\n", "")


def test_a_run_killed_in_mid_build_leaves_nothing_to_trip_over(project: Bench) -> None:
    project.configure(seed=("app.seed:fill",))
    project.write({"app/seed.py": SLOW_SEED})
    killed = start(project)
    wait_for(project.root / "app/started", killed)
    killed.send_signal(signal.SIGKILL)
    killed.communicate()
    (project.root / "app/go").touch()
    template = project.ready()
    assert project.built == [True]
    assert project.rows("SELECT * FROM users") == []
    assert template == naming.template_name(project.key, template.rpartition("_")[2])
