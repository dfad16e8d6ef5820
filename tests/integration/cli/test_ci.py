"""``slipstream ci``: files that the providers accept, and whose commands work."""

from __future__ import annotations

import shutil
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from ruamel.yaml import YAML

from pytest_slipstream import cli
from pytest_slipstream.cli.workflow.blocks import read

ROOT = Path(__file__).parents[3]
LANES = """
[tool.slipstream.databases.main]
engine = "sqlite"
schema = "shop.models:Base.metadata"
{more}
[tool.slipstream.lanes.real]
databases.main.engine = "{real}"
{server}
[tool.slipstream.lanes.merge]
"""
PROJECTS = {
    "nothing": "[tool.other]",
    "sqlite": '[tool.slipstream.databases.main]\nengine = "sqlite"\nschema = "schema.sql"\n',
    "mysql": LANES.format(real="mysql", server="", more=""),
    "postgresql": LANES.format(real="postgresql", server="", more="fingerprint = 'data/*'"),
    "url": LANES.format(
        real="postgresql",
        server='databases.main.server = "postgresql://me:it\'s@localhost:5433/work"',
        more="",
    ),
    "extra": '[project]\nname = "a"\n[project.optional-dependencies]\ndev = ["pytest-slipstream"]',
    "group": '[project]\nname = "a"\n[dependency-groups]\ntest = ["pytest"]\n',
}
PROVIDERS = {"github": ".github/workflows/slipstream.yml", "gitlab": ".gitlab-ci.yml"}
SCHEMAS = {
    "github": ("--builtin-schema", "vendor.github-workflows"),
    "gitlab": ("--builtin-schema", "vendor.gitlab-ci", "--data-transform", "gitlab-ci"),
}

Slipstream = Callable[..., Any]


@pytest.fixture
def ci(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> Slipstream:
    """What ``slipstream ci`` says; it must end with this exit status."""
    monkeypatch.chdir(tmp_path)

    def run(*arguments: str, status: int = 0) -> str:
        monkeypatch.setattr(sys, "argv", ["slipstream", "ci", *arguments])
        with pytest.raises(SystemExit) as ended:
            cli.main()
        captured = capsys.readouterr()
        assert (ended.value.code or 0) == status, captured
        return captured.out + captured.err

    return run


@pytest.mark.parametrize("provider", PROVIDERS)
def test_the_files_are_what_the_provider_s_schema_asks(ci: Slipstream, provider: str):
    for name, configuration in PROJECTS.items():
        Path("pyproject.toml").write_text(configuration)
        for more in ((), ("--services",), ("--shards", "1")):
            file = f"{name}{''.join(more)}.yml"
            ci(provider, "--shards", "3", *more, "--output", file)
    files = sorted(map(str, Path().glob("*.yml")))
    assert len(files) == 3 * len(PROJECTS)
    validator = [sys.executable, "-m", "check_jsonschema", *SCHEMAS[provider], *files]
    done = subprocess.run(validator, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stdout


def jobs(file: str) -> dict[str, Any]:
    """What GitHub reads."""
    loaded: dict[str, Any] = YAML(typ="safe").load(Path(file).read_text())
    return loaded["jobs"]


def commands(job: dict[str, Any], first: str) -> list[str]:
    """The steps of a job that begin with a program."""
    steps = (step.get("run", "").strip() for step in job["steps"])
    return [step for step in steps if step.startswith(first)]


def test_each_lane_has_a_job_and_the_verdict_waits_for_all(ci: Slipstream):
    Path("pyproject.toml").write_text(PROJECTS["mysql"])
    ci("github", "--shards", "3", "--output", "ci.yml")
    found = jobs("ci.yml")
    assert list(found) == ["slipstream-durations", "fast", "real", "merge", "slipstream-merge"]
    assert found["slipstream-merge"]["needs"] == ["fast", "real", "merge"]
    assert found["fast"]["strategy"]["matrix"] == {"shard": [1, 2, 3], "of": [3]}
    assert commands(found["fast"], "pytest") == [
        "pytest --lane fast --shard ${{ matrix.shard }}/${{ matrix.of }} --junit-xml=junit.xml"
    ]
    assert commands(found["real"], "pytest") == ["pytest --lane real --junit-xml=junit.xml"]
    assert any("mariadb-server-core" in step for step in commands(found["real"], "sudo"))


def test_services_stand_in_for_embedded_servers(ci: Slipstream):
    Path("pyproject.toml").write_text(PROJECTS["mysql"])
    ci("github", "--shards", "3", "--services", "--output", "ci.yml")
    real = jobs("ci.yml")["real"]
    assert real["services"]["mariadb"]["ports"] == ["3306:3306"]
    assert real["env"]["SLIPSTREAM_SERVER"] == "main=mysql://root:slipstream@127.0.0.1:3306/mysql"
    assert commands(real, "sudo") == []
    ci("gitlab", "--shards", "3", "--services", "--output", "gitlab.yml")
    job = YAML(typ="safe").load(Path("gitlab.yml").read_text())["test-real"]
    assert job["variables"] == {
        "SLIPSTREAM_SERVER": "main=mysql://root:slipstream@mariadb:3306/mysql",
        "SLIPSTREAM_ALLOW_REMOTE": "true",
    }


def test_the_server_of_a_url_becomes_a_service(ci: Slipstream):
    Path("pyproject.toml").write_text(PROJECTS["url"])
    ci("github", "--shards", "3", "--output", "ci.yml")
    real = jobs("ci.yml")["real"]
    assert real["services"]["postgres"]["env"] == {
        "POSTGRES_USER": "me",
        "POSTGRES_PASSWORD": "it's",
    }
    assert real["services"]["postgres"]["ports"] == ["5433:5432"]
    assert real["env"]["SLIPSTREAM_SERVER"] == "main=postgresql://me:it's@127.0.0.1:5433/work"


def test_a_second_run_keeps_what_was_edited(ci: Slipstream):
    Path("pyproject.toml").write_text(PROJECTS["sqlite"])
    file = Path(PROVIDERS["github"])
    assert "written to" in ci("github", "--shards", "3")
    file.write_text(file.read_text().replace("name: Tests", "name: Mine"))
    Path("pyproject.toml").write_text(PROJECTS["mysql"])
    said = ci("github", "--shards", "3", "--check", status=1)
    assert "slipstream.yml is not what slipstream ci github would write\n" in said
    assert "hint: slipstream ci github --shards 3\n" in said
    ci("github", "--shards", "5")
    found = jobs(str(file))
    assert found["fast"]["strategy"]["matrix"]["shard"] == [1, 2, 3, 4, 5]
    assert {"real", "merge"} < found.keys()
    assert "name: Mine\n" in file.read_text()
    assert "is up to date" in ci("github", "--shards", "5", "--check")


def test_a_matrix_that_was_edited_runs_as_many_shards_as_it_has_machines(ci: Slipstream):
    ci("github", "--shards", "3")
    file = Path(PROVIDERS["github"])
    file.write_text(file.read_text().replace("timeout-minutes: 60", "timeout-minutes: 90"))
    assert "note: the block lane-fast was edited" in ci("github", "--shards", "5")
    fast = jobs(str(file))["fast"]
    assert fast["strategy"]["matrix"] == {"shard": [1, 2, 3], "of": [3]}
    assert "--shard ${{ matrix.shard }}/${{ matrix.of }} " in commands(fast, "pytest")[0]


def test_lines_end_as_they_did(ci: Slipstream):
    ci("github", "--shards", "3")
    file = Path(PROVIDERS["github"])
    file.write_bytes(file.read_bytes().replace(b"\n", b"\r\n"))
    ci("github", "--shards", "4")
    assert file.read_bytes().count(b"\r\n") == file.read_bytes().count(b"\n")
    assert "is up to date" in ci("github", "--shards", "4")


def test_a_file_that_is_no_text_is_left_alone(ci: Slipstream):
    Path("ci.yml").write_bytes(b"\xff\xfe")
    assert "error: ci.yml is not UTF-8" in ci("github", "--output", "ci.yml", status=4)


def test_without_a_lane_s_job_nothing_waits_for_it(ci: Slipstream):
    Path("pyproject.toml").write_text(PROJECTS["mysql"])
    ci("github", "--shards", "3")
    file = Path(PROVIDERS["github"])
    text = file.read_text()
    start, end = "  # >>> slipstream lane-real ", "  # >>> slipstream lane-merge "
    file.write_text(text[: text.index(start)] + text[text.index(end) :])
    ci("github", "--shards", "3")
    assert jobs(str(file))["slipstream-merge"]["needs"] == ["fast", "merge"]
    assert "is up to date" in ci("github", "--shards", "3")


@pytest.mark.parametrize("provider", PROVIDERS)
def test_a_file_of_somebody_else_is_never_written_over(ci: Slipstream, provider: str):
    file = Path(PROVIDERS[provider])
    file.parent.mkdir(parents=True, exist_ok=True)
    file.write_text("mine: true\n")
    said = ci(provider, "--shards", "2", status=4)
    assert f"error: {file} is there already, and was not written by slipstream ci\n" in said
    assert "hint: write to another file with --output, or look at it with --print\n" in said
    assert ci(provider, "--shards", "2", "--print").startswith("# >>> slipstream header ")
    assert file.read_text() == "mine: true\n"
    ci(provider, "--shards", "2", "--output", "other.yml")


def test_the_number_of_shards_is_what_pays(slipstream: Slipstream, tmp_path: Path):
    (tmp_path / "test_it.py").write_text("def test_it(): pass\n")
    said = slipstream("ci", "github").stdout
    assert "shards that pay: 1, for 1 tests, of which 1 are not in the duration history" in said
    file = tmp_path / PROVIDERS["github"]
    assert jobs(str(file))["fast"]["strategy"]["matrix"]["shard"] == [1]


def test_a_history_in_the_repository_needs_no_cache(ci: Slipstream):
    Path(".slipstream").mkdir()
    Path(".slipstream/durations.json").write_text("{}")
    for command in (["init", "-q"], ["add", "."]):
        subprocess.run(["git", *command], check=True)
    ci("github", "--shards", "2")
    assert list(jobs(PROVIDERS["github"])) == ["fast", "slipstream-merge"]
    assert "durations merge" not in Path(PROVIDERS["github"]).read_text()


def test_its_commands_make_a_build(ci: Slipstream, environ: dict[str, str], tmp_path: Path):
    """The jobs of a workflow, one after the other, with files carried as artifacts."""
    Path("pyproject.toml").write_text("[tool.slipstream]\n")
    Path("test_it.py").write_text("def test_a(): pass\n\n\ndef test_b(): pass\n")
    ci("github", "--shards", "2")
    found = jobs(PROVIDERS["github"])
    path = f"{Path(sys.executable).parent}:{environ['PATH']}"

    def run(command: str) -> None:
        subprocess.run(["bash", "-ec", command], env={**environ, "PATH": path}, check=True)

    upload = [step for step in found["fast"]["steps"] if "upload" in step.get("uses", "")][-1]
    for shard in ("1", "2"):
        (command,) = commands(found["fast"], "pytest")
        run(command.replace("${{ matrix.shard }}", shard).replace("${{ matrix.of }}", "2"))
        for pattern in upload["with"]["path"].split():
            for file in list(Path().glob(pattern)):
                target = tmp_path / "machines" / shard / file
                target.parent.mkdir(parents=True, exist_ok=True)
                shutil.move(file, target)
    for command in commands(found["slipstream-merge"], "slipstream"):
        run(command)
    assert Path("merged/junit.xml").exists()
    assert "test_b" in Path(".slipstream/durations.json").read_text()


def test_this_project_s_own_workflow_is_up_to_date(ci: Slipstream, monkeypatch: pytest.MonkeyPatch):
    monkeypatch.chdir(ROOT)
    assert "is up to date" in ci("github", "--shards", "4", "--check")
    blocks = read(Path(PROVIDERS["github"]).read_text(), "own").blocks
    assert not any(block.edited for block in blocks)
    validator = [sys.executable, "-m", "check_jsonschema", *SCHEMAS["github"]]
    subprocess.run([*validator, PROVIDERS["github"]], check=True)
