"""The charts of the HTML report, drawn by Bokeh.

Nothing here is imported unless an HTML report is written. The invariant: what a chart shows, a
table beside it says, too.
"""

from __future__ import annotations

from typing import Any

from bokeh.models import (
    BooleanFilter,
    CDSView,
    ColumnDataSource,
    CustomJSHover,
    FactorRange,
    HoverTool,
    Range1d,
)
from bokeh.plotting import figure
from numpy import array, float32, int32

from pytest_slipstream.report.run import PARTS, RunReport

COLOURS = ("#4477aa", "#228833", "#ccbb44", "#aa3377", "#999999")
"""Of `PARTS`; told apart with colour blindness, too (Paul Tol's bright scheme)."""
_INK = "#7a7a7a"  # readable on white and on black
_TOOLS = "xpan,xwheel_zoom,xbox_zoom,reset"


def timeline(run: RunReport) -> Any:
    """A row for each worker, a bar for each part of each test."""
    plot = figure(
        height=max(220, min(900, 90 + 22 * len(run.rows))),
        sizing_mode="stretch_width",
        x_axis_label="seconds since the run began",
        y_range=Range1d(start=len(run.rows) - 0.4, end=-0.6),
        tools=_TOOLS,
        active_scroll="xwheel_zoom",
        name="timeline",
    )
    _style(plot)
    plot.yaxis.ticker = list(range(len(run.rows)))
    plot.yaxis.major_label_overrides = dict(enumerate(run.rows))
    for part, (name, colour) in enumerate(zip(PARTS, COLOURS, strict=True)):
        plot.hbar(
            y="row",
            left="left",
            right="right",
            height=0.8,
            source=ColumnDataSource(_bars(run, part), name=f"part {part}"),
            view=CDSView(filter=BooleanFilter(name=f"filter {part}")),
            fill_color=colour,
            line_color=None,
            legend_label=name,
            name=name,
        )
    hover = HoverTool(tooltips=[("part", "$name"), ("test", "@test{custom}")])
    hover.formatters = {"@test": _naming()}
    plot.add_tools(hover)
    plot.legend.orientation = "horizontal"
    plot.legend.background_fill_alpha = plot.legend.border_line_alpha = 0
    plot.legend.label_text_color = _INK
    plot.add_layout(plot.legend[0], "above")
    return plot


def _bars(run: RunReport, part: int) -> dict[str, Any]:
    """One part of all tests that have it, as columns; a test is its number."""
    found = [
        (test.row, test.began - run.began + sum(test.parts[:part]), test.parts[part], number)
        for number, test in enumerate(run.tests)
        if test.parts[part] > 0
    ]
    return {
        "row": array([row for row, _, _, _ in found], dtype=int32),
        "left": array([left for _, left, _, _ in found], dtype=float32),
        "right": array([left + seconds for _, left, seconds, _ in found], dtype=float32),
        "test": array([number for _, _, _, number in found], dtype=int32),
    }


def _naming() -> Any:
    """From a test's number, of which the chart has thousands, to its name, which the page has."""
    return CustomJSHover(code="return window.slipstream.name(value)")


def seconds(run: RunReport) -> Any:
    """Bars of where the seconds went."""
    buckets = list(run.account.buckets.items())[::-1]
    plot = figure(
        height=60 + 26 * len(buckets),
        sizing_mode="stretch_width",
        y_range=FactorRange(factors=[name for name, _ in buckets]),
        x_axis_label="worker seconds",
        tools="hover",
        tooltips=[("", "@y: @right{0.00} s")],
        toolbar_location=None,
    )
    _style(plot)
    plot.hbar(
        y=[name for name, _ in buckets],
        right=[value for _, value in buckets],
        height=0.7,
        fill_color=COLOURS[0],
        line_color=None,
    )
    return plot


def memory(run: RunReport) -> Any:
    """The memory of pytest and its workers over time."""
    return _line(
        [seen.at - run.began for seen in run.memory],
        [seen.own_bytes / 1e6 for seen in run.memory],
        "seconds since the run began",
        "MB",
    )


def trend(walls: list[float]) -> Any:
    """The seconds of past runs, the newest last."""
    return _line([float(n) for n in range(1 - len(walls), 1)], walls, "runs ago", "seconds")


def _line(x: list[float], y: list[float], across: str, up: str) -> Any:
    plot = figure(
        height=220,
        sizing_mode="stretch_width",
        x_axis_label=across,
        y_axis_label=up,
        y_range=Range1d(start=0, end=1.1 * max(y)),
        tools="hover",
        tooltips=[("", "@y{0.0} " + up)],
        toolbar_location=None,
    )
    _style(plot)
    plot.line(x, y, line_width=2, line_color=COLOURS[0])
    plot.scatter(x, y, size=5, color=COLOURS[0])
    return plot


def _style(plot: Any) -> None:
    """Transparent, with ink that is readable in dark and in light."""
    plot.background_fill_alpha = 0
    plot.border_fill_alpha = 0
    plot.outline_line_color = None
    plot.grid.grid_line_color = _INK
    plot.grid.grid_line_alpha = 0.2
    for axis in plot.axis:
        axis.axis_label_text_color = axis.major_label_text_color = _INK
        axis.axis_line_color = axis.major_tick_line_color = axis.minor_tick_line_color = _INK
    if plot.toolbar is not None:
        plot.toolbar.logo = None
