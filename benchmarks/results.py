"""Keeps what was found: JSON for programs, Markdown for people; each group apart, so that some can
be measured again without the others.

The invariant: figures of one machine only stand beside each other.
"""

from __future__ import annotations

import json
from itertools import groupby
from pathlib import Path
from typing import Any

from benchmarks.measuring import Findings, Row, Target

RESULTS = Path(__file__).parent / "results"
HARDWARE = ("processor", "memory", "system")


class Results:
    """What is kept under a name.

    Args:
        stem: Of both files.
        machine: What is measured on, as `machine.description` says it.
        order: All groups, as they follow one another.
    """

    def __init__(self, stem: str, machine: dict[str, str], order: tuple[str, ...]) -> None:
        self._path = RESULTS / f"{stem}.json"
        self._machine = machine
        self._order = order
        kept = json.loads(self._path.read_text()) if self._path.exists() else {}
        there = kept.get("machine", {})
        same = all(there.get(name) == machine[name] for name in HARDWARE)
        self._groups: dict[str, Any] = kept.get("groups", {}) if same else {}

    @property
    def missing(self) -> list[str]:
        """The groups of which nothing is kept from this machine."""
        return [name for name in self._order if name not in self._groups]

    def keep(self, group: str, found: Findings) -> Path:
        """Keep what a group found in place of what it found before; the Markdown file's path."""
        self._groups[group] = {
            "versions": {k: v for k, v in self._machine.items() if k not in HARDWARE},
            "rows": [row._asdict() for row in found.rows],
            "targets": [{**target._asdict(), "met": target.met} for target in found.targets],
        }
        RESULTS.mkdir(exist_ok=True)
        groups = {name: self._groups[name] for name in self._order if name in self._groups}
        hardware = {name: self._machine[name] for name in HARDWARE}
        data = {"machine": hardware, "groups": groups}
        self._path.write_text(json.dumps(data, indent=1) + "\n")
        path = self._path.with_suffix(".md")
        path.write_text(_markdown(hardware, groups))
        return path


def _markdown(hardware: dict[str, str], groups: dict[str, Any]) -> str:
    versions = [each["versions"] for each in groups.values()]
    told = {
        name: ", ".join(sorted({each[name] for each in versions if name in each}))
        for name in dict.fromkeys(name for each in versions for name in each)
    }
    found = [
        Findings(
            tuple(Row(**row) for row in each["rows"]),
            tuple(
                Target(**{k: v for k, v in target.items() if k != "met"})
                for target in each["targets"]
            ),
        )
        for each in groups.values()
    ]
    whole = Findings(
        tuple(row for each in found for row in each.rows),
        tuple(target for each in found for target in each.targets),
    )
    return markdown(whole, hardware | told)


def markdown(findings: Findings, machine: dict[str, str]) -> str:
    """The report. A group's first row is its unit."""
    parts = [
        "# Benchmark results\n",
        "Made by `python -m benchmarks`. Medians; contenders take turns in one run. Compare "
        "ratios: the times are of one machine, and are here to show what the ratios are made "
        "from.\n",
        "\n".join(f"- {key}: {value}" for key, value in machine.items()) + "\n",
        "## Targets\n",
        target_table(findings.targets),
    ]
    for group, rows in groupby(findings.rows, key=lambda row: row.group):
        parts += [f"## {group}\n", table(list(rows))]
    return "\n".join(parts)


def target_table(targets: tuple[Target, ...]) -> str:
    lines = ["| promise | limit | found | |", "|---|---:|---:|---|"]
    for target in targets:
        bound = f"{'≥' if target.at_least else '≤'} {target.limit:g} {target.unit}"
        verdict = "met" if target.met else "**missed**"
        lines.append(f"| {target.text} | {bound} | {target.value:.2f} {target.unit} | {verdict} |")
    return "\n".join(lines) + "\n"


def table(rows: list[Row]) -> str:
    unit = rows[0].whole_s
    lines = ["| | ratio | time | of it isolation | runs |", "|---|---:|---:|---:|---:|"]
    for row in rows:
        isolation = "" if row.isolation_s is None else seconds(row.isolation_s)
        lines.append(
            f"| {row.name} | {row.whole_s / unit:.2f} | {seconds(row.whole_s)} | {isolation} "
            f"| {row.runs} |"
        )
    return "\n".join(lines) + "\n"


def seconds(duration_s: float) -> str:
    """A duration with three digits that count."""
    return f"{duration_s:.2f} s" if duration_s >= 1 else f"{duration_s * 1e3:.3g} ms"
