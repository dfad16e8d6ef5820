"""Writes ``docs/reference/configuration.md`` from the table of options.

Usage: ``python docs/generate_reference.py [--check]``; with ``--check`` nothing is written, and the
exit code tells whether the page is current.
"""

from __future__ import annotations

import json
import sys
from collections.abc import Iterator
from pathlib import Path

from pytest_slipstream.settings import BUDGET_OPTIONS, LANE_OPTIONS, OPTIONS, PLACEHOLDERS, Option

PAGE = Path(__file__).parent / "reference" / "configuration.md"

HEAD = """\
# Configuration

<!-- Written by docs/generate_reference.py from the table of options: edit the options instead. -->

slipstream reads the table `[tool.slipstream]` of the `pyproject.toml` in pytest's rootdir. Each
option is also an environment variable and a command line option of pytest. The command line wins
over the environment, the environment over the file, the file over the default.

An unknown key, a wrong type and an option that could have no effect are errors (exit code 4) that
name what you wrote and what is valid.

"""

DATABASES = f"""\
## Databases

Each table `[tool.slipstream.databases.<name>]` is a database. Its name is a lower-case letter
followed by lower-case letters, digits and `_`, 20 characters at most.

On the command line and in the environment, `VALUE` is for every database that can use the option,
and `NAME=VALUE` for one: `--slipstream-isolation audit=clone`. Repeat an option to give several
values; in an environment variable, write one value a line. A list replaces the file's, the entries
of a table are added to the file's.

The placeholders of `env` are {", ".join(f"`{{{name}}}`" for name in PLACEHOLDERS)};
for SQLite only `{{url}}` and `{{database}}` (its file). A brace itself is written twice: `{{{{`.

"""


LANES = """\
## Lanes

Each table `[tool.slipstream.lanes.<name>]` is a [lane](../guides/lanes.md) beside the default lane.
Its name is a lower-case letter followed by lower-case letters, digits and `_`, and not `all`.

A lane has the databases of `[tool.slipstream.databases]`. Whatever it says about one of them, as in
`databases.main.engine = "postgresql"`, takes the place of what stands there; the entries of a table
are added. What depends on an option that the lane changes (`driver`, and every option that says
"only with") is not taken over.

On the command line and in the environment, `NAME=VALUE` is for a database on every lane that can
use the option, and `LANE.NAME=VALUE` on one lane: `--slipstream-isolation real.main=clone`.

The options below stand in the file alone.

"""

BUDGET = """\
## Budgets

The table `[tool.slipstream.budget]` says what the run and its tests
[may take](../guides/budgets.md). Durations are written `500ms`, `1.5s`, `3m` or `1h`; sizes
`800MB`, `6GB` or `2GiB`.

The options below stand in the file alone.

"""


def page() -> str:
    """The page's text."""
    top = "".join(_entry(option) for option in OPTIONS if not option.of_database)
    of_database = "".join(_entry(option) for option in OPTIONS if option.of_database)
    of_lane = "".join(_entry(option, in_file_only=True) for option in LANE_OPTIONS)
    budget = "".join(_entry(option, in_file_only=True) for option in BUDGET_OPTIONS)
    of_run = (HEAD, "## For the whole run\n\n", top)
    parts = (*of_run, DATABASES, of_database, LANES, of_lane, BUDGET, budget)
    return "".join(parts).rstrip() + "\n"


def _entry(option: Option, *, in_file_only: bool = False) -> str:
    facts = " · ".join([*_value(option), *(() if in_file_only else _elsewhere(option))])
    return f"### `{option.name}`\n\n{option.description}\n\n{facts}\n\n"


def _value(option: Option) -> Iterator[str]:
    if option.kind == "choice":
        yield " or ".join(f"`{choice}`" for choice in option.choices)
    else:
        yield option.expected
    yield "required" if option.required else f"default {_default(option.default)}"


def _elsewhere(option: Option) -> Iterator[str]:
    flag = f"`{option.flag}`"
    if option.kind == "switch":
        flag += f", `--no-{option.flag[2:]}`"
    yield flag
    yield f"`{option.environment}`"
    if option.needs:
        needs = " and ".join(
            " or ".join(f'`{name} = "{value}"`' for value in values)
            for name, values in option.needs.items()
        )
        yield f"only with {needs}"


def _default(value: object) -> str:
    if value is None or value in ("", (), {}):
        return "none"
    return f"`{json.dumps(value)}`"


def main(arguments: list[str]) -> int:
    """Write the page, or check it."""
    text = page()
    if arguments == ["--check"]:
        current = PAGE.exists() and PAGE.read_text(encoding="utf-8") == text
        if not current:
            print(f"{PAGE} is not current: run python docs/generate_reference.py")
        return int(not current)
    PAGE.write_text(text, encoding="utf-8")
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
