"""The HTML report: one file that opens from disk and asks no network for anything.

The invariant: texts of the run reach the page escaped, in markup as in script.
"""

from __future__ import annotations

import importlib.util
from collections import Counter
from datetime import datetime, timezone
from pathlib import Path
from typing import Any

import jinja2
import msgspec

from pytest_slipstream.errors import MissingExtraError
from pytest_slipstream.report.run import PARTS, RunReport

_TEMPLATE = Path(__file__).with_name("page.html.jinja")


def check() -> None:
    """Raise before the run what would go wrong after it.

    Raises:
        MissingExtraError: Bokeh is not installed.
    """
    if importlib.util.find_spec("bokeh") is None:
        raise MissingExtraError(
            "an HTML report needs Bokeh for its charts, which is not installed",
            hint='pip install "pytest-slipstream[report]"',
        )


def page(run: RunReport, walls: list[float]) -> str:
    """The file's content.

    Args:
        run: What is shown.
        walls: The seconds of past runs and of this one, the newest last.

    Raises:
        MissingExtraError: Bokeh is not installed.
    """
    check()
    scripts, script, divs = _charts(run, walls)
    environment = jinja2.Environment(
        autoescape=True, undefined=jinja2.StrictUndefined, trim_blocks=True, lstrip_blocks=True
    )
    return environment.from_string(_TEMPLATE.read_text(encoding="utf-8")).render(
        run=run,
        parts=PARTS,
        began=datetime.fromtimestamp(run.began, timezone.utc).strftime("%Y-%m-%d %H:%M UTC"),
        scripts=scripts,
        script=script,
        divs=divs,
        tests=_for_script(
            [
                [test.node_id, test.outcome, test.worker, round(test.seconds, 4), round(at, 3)]
                for test in run.tests
                for at in [test.began - run.began]
            ]
        ),
        strategies=Counter(event.strategy for event in run.cleaned),
        cleaning_s=sum(event.seconds for event in run.cleaned),
        escalated=[event for event in run.cleaned if event.escalated is not None],
        walls=walls,
    )


def _charts(run: RunReport, walls: list[float]) -> tuple[list[str], str, dict[str, str]]:
    """Bokeh's own scripts, the one that draws, and the places of the charts by their names."""
    from bokeh.embed import components
    from bokeh.resources import Resources

    from pytest_slipstream.report import charts

    drawn: dict[str, Any] = {}
    if run.tests:
        drawn["timeline"] = charts.timeline(run)
    if run.account.buckets:
        drawn["seconds"] = charts.seconds(run)
    if len(run.memory) > 1:
        drawn["memory"] = charts.memory(run)
    if len(walls) > 1:
        drawn["trend"] = charts.trend(walls)
    divs = dict.fromkeys(("timeline", "seconds", "memory", "trend"), "")
    if not drawn:
        return [], "", divs
    script, places = components(drawn)
    own = Resources(mode="inline", components=["bokeh"]).js_raw
    return own, script, divs | places


def _for_script(value: object) -> str:
    """JSON that can stand in a script element: nothing in it ends the element."""
    return msgspec.json.encode(value).decode().replace("<", "\\u003c")
