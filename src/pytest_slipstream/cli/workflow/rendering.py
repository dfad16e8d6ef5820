"""From the plan to the file: the templates, and what they ask."""

from __future__ import annotations

import json
from pathlib import PurePosixPath

from jinja2 import Environment, PackageLoader, StrictUndefined

from pytest_slipstream.cli.workflow.blocks import HEADER, Document, read, signed
from pytest_slipstream.cli.workflow.plan import Lane, Provider, Workflow


def render(provider: Provider, plan: Workflow) -> Document:
    """A new workflow file.

    Args:
        provider: Whose format it has.
        plan: What the project needs.
    """
    environment = Environment(
        # GitHub's own expressions have braces.
        variable_start_string="[[",
        variable_end_string="]]",
        trim_blocks=True,
        lstrip_blocks=True,
        keep_trailing_newline=True,
        undefined=StrictUndefined,
        loader=PackageLoader("pytest_slipstream.cli.workflow", "."),
        autoescape=False,  # YAML: the filter quotes
    )
    environment.filters["yaml"] = _yaml
    template = environment.get_template(f"{provider}.yml.j2")
    history = PurePosixPath(plan.durations_file)
    prefix = "test-" if provider == "gitlab" else ""
    jobs = [f"{prefix}{lane.name}" for lane in plan.lanes]
    asked = {
        "plan": plan,
        "jobs": jobs,
        "packages": sorted({package for lane in plan.lanes for package in lane.packages}),
        "durations_directory": str(history.parent),
        "histories": str(history.with_name(f"{history.stem}*.json")),
        "sources": _patterns,
    }
    names = read(template.render(asked, blocks=HEADER), template.name or "").by_name
    return signed(read(template.render(asked, blocks=" ".join(names)), template.name or ""))


def _yaml(text: str) -> str:
    """A text as YAML reads it on one line: JSON's strings are YAML's."""
    return json.dumps(text, ensure_ascii=False)


def _patterns(lane: Lane) -> str:
    """Arguments of GitHub's ``hashFiles``."""
    return ", ".join("'" + pattern.replace("'", "''") + "'" for pattern in lane.sources)
