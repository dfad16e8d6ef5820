"""Which tests may be in flight together: decided from plain values."""

from __future__ import annotations

import pytest

from pytest_slipstream.errors import ConfigurationError
from pytest_slipstream.running.plans import Facts, Marks, Plan, Segment, decide, read_marks


def facts(**known: object) -> Facts:
    return Facts(**{"is_coroutine": True, **known})  # type: ignore[arg-type]


def test_a_coroutine_overlaps_if_all_tests_do_or_its_marker_says_so():
    assert decide(facts(), all_tests=True).way == "together"
    assert decide(facts(), all_tests=False).way == "alone"
    assert decide(facts(marks=Marks(wanted=True)), all_tests=False).way == "together"
    assert decide(facts(marks=Marks(wanted=False)), all_tests=True).way == "alone"


@pytest.mark.parametrize("known", [{"is_coroutine": False}, {"is_foreign": True}])
def test_what_is_no_coroutine_of_asyncio_runs_outside(known):
    assert decide(facts(marks=Marks(wanted=True), **known), all_tests=True) == Plan(way="outside")


@pytest.mark.parametrize(
    ("known", "reason"),
    [
        ({"fixtures": {"monkeypatch", "mocker", "tmp_path"}}, "uses mocker, monkeypatch"),
        ({"fixtures": {"own"}}, "uses own"),
        ({"is_hypothesis": True}, "is run by hypothesis"),
        ({"narrows": "server"}, "parametrises the wider fixture 'server' for itself"),
        ({"reason_alone": "owns a database slot"}, "owns a database slot"),
    ],
)
def test_why_it_runs_alone(known, reason):
    plan = decide(facts(**known), all_tests=True, process_wide=("own",))
    assert (plan.way, plan.reason) == ("alone", reason)


def test_nobody_is_told_a_reason_for_what_nobody_wanted():
    plan = decide(facts(fixtures={"monkeypatch"}), all_tests=False)
    assert (plan.way, plan.reason) == ("alone", "")


def test_the_closest_marker_wins():
    marks = read_marks(
        "test_it",
        [
            ("concurrent", (), {"timeout": 2}),
            ("sequential", (), {}),
            ("concurrent", (), {"timeout": 9, "group": "outer"}),
        ],
    )
    assert marks == Marks(wanted=True, group="outer", timeout=2.0)


@pytest.mark.parametrize(
    ("name", "arguments", "keywords", "complaint"),
    [
        ("concurrent", (2,), {}, "takes only group, timeout, weight by name"),
        ("concurrent", (), {"limit": 2}, "concurrent(limit=2), which takes only group, timeout"),
        ("concurrent", (), {"group": 2}, "group must be a text"),
        ("concurrent", (), {"timeout": True}, "timeout must be a number of seconds above 0"),
        ("concurrent", (), {"timeout": -1}, "timeout must be a number of seconds above 0"),
        ("concurrent", (), {"weight": 0}, "weight must be a whole number of at least 1"),
        ("sequential", (), {"reason": "x"}, "takes no arguments"),
    ],
)
def test_wrong_markers_name_the_test_and_the_value(name, arguments, keywords, complaint):
    with pytest.raises(ConfigurationError, match="test_it has the marker") as caught:
        read_marks("test_it", [(name, arguments, keywords)])
    assert complaint in str(caught.value)


def started(segment: Segment, *plans: Plan) -> Segment:
    for plan in plans:
        assert segment.belongs(plan)
        assert segment.has_room(plan)
        assert segment.group_has_room(plan)
        segment.start(plan)
    return segment


TOGETHER = Plan(way="together")


def test_a_segment_takes_as_many_as_its_limit():
    segment = started(Segment(2, {}), TOGETHER, TOGETHER)
    assert not segment.has_room(TOGETHER)
    segment.end(TOGETHER)
    assert segment.has_room(TOGETHER)


def test_who_runs_alone_does_not_share_a_segment():
    alone = Plan(way="alone")
    assert Segment(2, {}).belongs(alone)
    assert not started(Segment(2, {}), alone).belongs(TOGETHER)
    assert not started(Segment(2, {}), alone).belongs(alone)
    assert not started(Segment(2, {}), TOGETHER).belongs(alone)
    assert not Segment(2, {}).belongs(Plan(way="outside"))


def test_groups_have_limits_of_their_own():
    one, two = (Plan(way="together", group=group) for group in ("one", "two"))
    segment = started(Segment(9, {"two": 2}), one, two, two)
    assert not segment.group_has_room(one)
    assert not segment.group_has_room(two)
    assert segment.has_room(one), "those after it need not wait"
    assert segment.group_has_room(TOGETHER)
    segment.end(one)
    assert segment.group_has_room(one)


def test_weights():
    heavy = Plan(way="together", weight=3)
    assert not started(Segment(3, {}), TOGETHER).has_room(heavy)
    assert not started(Segment(3, {}), heavy).has_room(TOGETHER)
    assert Segment(2, {}).has_room(heavy), "a test that is too heavy runs when nothing else does"


def test_warning_filters_are_the_whole_process_s():
    strict = Plan(way="together", must_match=("error",))
    assert started(Segment(9, {}), strict).belongs(strict)
    assert not started(Segment(9, {}), strict).belongs(TOGETHER)


def test_one_parameter_of_a_wider_fixture_at_a_time():
    key = ("server", "module a")
    first, second = (Plan(way="together", shared={key: value}) for value in (1, 2))
    elsewhere = Plan(way="together", shared={("server", "module b"): 2})
    segment = started(Segment(9, {}), first, first, elsewhere)
    assert not segment.belongs(second)
