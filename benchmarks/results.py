"""Writes what was found: JSON for programs, Markdown for people."""

from __future__ import annotations

import json
from itertools import groupby
from pathlib import Path

from benchmarks.measuring import Findings, Row, Target

RESULTS = Path(__file__).parent / "results"


def write(findings: Findings, machine: dict[str, str], *, quick: bool) -> Path:
    """Write both files; the Markdown file's path."""
    RESULTS.mkdir(exist_ok=True)
    stem = "quick" if quick else "latest"
    data = {
        "machine": machine,
        "rows": [row._asdict() for row in findings.rows],
        "targets": [{**target._asdict(), "met": target.met} for target in findings.targets],
    }
    (RESULTS / f"{stem}.json").write_text(json.dumps(data, indent=1) + "\n")
    path = RESULTS / f"{stem}.md"
    path.write_text(markdown(findings, machine))
    return path


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
