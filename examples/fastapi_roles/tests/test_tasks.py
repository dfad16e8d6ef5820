from datetime import date

import pytest
from sqlalchemy import func, select

from app.models import Task


async def add(client, *tasks):
    for task in tasks:
        assert (await client.post("/projects/apollo/tasks", json=task)).status_code == 201


async def titles(client, **params):
    listing = (await client.get("/projects/apollo/tasks", params=params)).json()
    return [item["title"] for item in listing["items"]]


async def test_a_task_begins_open_and_unassigned(task, member):
    assert (task["status"], task["priority"], task["assignee"]) == ("open", 3, None)
    assert (await member.get(f"/tasks/{task['id']}")).json() == task


async def test_a_task_is_made_with_everything_at_once(member, project, session):
    body = {
        "title": "Plant a flag",
        "body": "Stiffened.",
        "priority": 5,
        "due_on": "1969-07-20",
        "assignee": "mia",
    }
    made = (await member.post("/projects/apollo/tasks", json=body)).json()
    assert made["assignee"]["username"] == "mia"
    row = await session.get(Task, made["id"])
    assert (row.title, row.priority, row.due_on) == ("Plant a flag", 5, date(1969, 7, 20))


@pytest.mark.parametrize(
    "bad",
    [
        {"title": ""},
        {"title": "x" * 81},
        {"priority": 0},
        {"priority": 6},
        {"priority": "high"},
        {"due_on": "soon"},
        {"assignee": "nobody"},
        {"assignee": "ida"},
    ],
    ids=str,
)
async def test_an_invalid_task_is_refused(member, project, session, bad):
    answer = await member.post("/projects/apollo/tasks", json={"title": "Land", **bad})
    assert answer.status_code == 422
    assert await session.scalar(select(func.count(Task.id))) == 0


@pytest.mark.parametrize(
    ("field", "value"),
    [
        ("title", "Land hard"),
        ("body", "With dust."),
        ("status", "doing"),
        ("status", "done"),
        ("priority", 1),
        ("due_on", "1969-07-20"),
    ],
)
async def test_a_field_is_changed(member, task, field, value):
    answer = await member.patch(f"/tasks/{task['id']}", json={field: value})
    assert answer.json() == {**task, field: value}
    assert (await member.get(f"/tasks/{task['id']}")).json()[field] == value


@pytest.mark.parametrize(
    "bad", [{"status": "lost"}, {"priority": 9}, {"title": ""}, {"due_on": 1.5}], ids=str
)
async def test_a_bad_change_changes_nothing(member, task, bad):
    assert (await member.patch(f"/tasks/{task['id']}", json=bad)).status_code == 422
    assert (await member.get(f"/tasks/{task['id']}")).json() == task


@pytest.mark.parametrize(("status", "wanted"), [("open", 2), ("doing", 1), ("done", 0)])
async def test_tasks_are_filtered_by_status(member, project, status, wanted):
    await add(member, {"title": "one"}, {"title": "two"}, {"title": "three"})
    first = (await member.get("/projects/apollo/tasks")).json()["items"][0]
    await member.patch(f"/tasks/{first['id']}", json={"status": "doing"})
    assert len(await titles(member, status=status)) == wanted


@pytest.mark.parametrize(
    ("assignee", "wanted"), [("mia", ["one"]), ("max", ["two"]), ("gus", []), ("nobody", [])]
)
async def test_tasks_are_filtered_by_assignee(member, project, assignee, wanted):
    await add(
        member,
        {"title": "one", "assignee": "mia"},
        {"title": "two", "assignee": "max"},
        {"title": "three"},
    )
    assert await titles(member, assignee=assignee) == wanted


async def test_the_most_urgent_task_comes_first(member, project):
    await add(
        member,
        {"title": "low", "priority": 1},
        {"title": "high", "priority": 5},
        {"title": "middle"},
    )
    assert await titles(member) == ["high", "middle", "low"]


@pytest.mark.parametrize(
    ("limit", "offset", "wanted"),
    [(2, 0, ["t0", "t1"]), (3, 2, ["t2", "t3", "t4"]), (5, 4, ["t4"]), (5, 9, [])],
)
async def test_pages_of_tasks(member, project, limit, offset, wanted):
    await add(member, *({"title": f"t{number}"} for number in range(5)))
    assert await titles(member, limit=limit, offset=offset) == wanted


@pytest.mark.parametrize("username", ["mia", "max", "gus"])
async def test_a_task_is_handed_on(member, task, username):
    answer = await member.put(f"/tasks/{task['id']}/assignee/{username}")
    assert answer.json()["assignee"]["username"] == username


@pytest.mark.parametrize("username", ["nobody", "ida"])
async def test_who_is_not_there_takes_no_task(member, task, username):
    answer = await member.put(f"/tasks/{task['id']}/assignee/{username}")
    assert answer.status_code == 422
    assert (await member.get(f"/tasks/{task['id']}")).json()["assignee"] is None


async def test_the_task_of_a_deleted_user_is_unassigned(admin, manager, ids, task):
    await manager.put("/projects/apollo/members/moe")
    await manager.put(f"/tasks/{task['id']}/assignee/moe")
    await admin.delete(f"/users/{ids['moe']}")
    assert (await manager.get(f"/tasks/{task['id']}")).json()["assignee"] is None


async def test_an_archived_project_takes_no_tasks(manager, member, project):
    await manager.patch("/projects/apollo", json={"archived": True})
    answer = await member.post("/projects/apollo/tasks", json={"title": "Late"})
    assert answer.status_code == 409


async def test_a_deleted_task_is_gone(member, task):
    assert (await member.delete(f"/tasks/{task['id']}")).status_code == 204
    assert (await member.get(f"/tasks/{task['id']}")).status_code == 404


async def test_who_is_not_in_the_project_sees_no_task(other_member, task):
    assert (await other_member.get(f"/tasks/{task['id']}")).status_code == 404
    assert (await other_member.get("/projects/apollo/tasks")).status_code == 404


async def test_the_first_task_of_a_clean_database_is_number_one(task):
    assert task["id"] == 1
