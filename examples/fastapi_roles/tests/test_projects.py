import pytest
from sqlalchemy import func, select

from app.models import Project, Task


async def add(client, *slugs):
    for slug in slugs:
        answer = await client.post("/projects", json={"slug": slug, "name": slug.title()})
        assert answer.status_code == 201


async def slugs(client, **params):
    return [item["slug"] for item in (await client.get("/projects", params=params)).json()["items"]]


async def test_there_is_no_project_at_first(admin):
    assert (await admin.get("/projects")).json() == {"total": 0, "items": []}


async def test_a_project_belongs_to_who_made_it(manager):
    answer = await manager.post("/projects", json={"slug": "gemini", "name": "Gemini"})
    assert answer.status_code == 201
    assert answer.json()["owner"]["username"] == "max"
    assert (await manager.get("/projects/gemini")).json() == answer.json()


async def test_a_slug_is_taken_once(manager, admin, project):
    answer = await admin.post("/projects", json={"slug": "apollo", "name": "Another"})
    assert answer.status_code == 409
    assert "apollo" in answer.json()["detail"]
    assert (await manager.get("/projects")).json()["total"] == 1


@pytest.mark.parametrize(
    "bad",
    [
        {"slug": "Apollo"},
        {"slug": "a"},
        {"slug": "a b"},
        {"slug": "x" * 31},
        {"name": ""},
        {"name": "x" * 81},
    ],
    ids=str,
)
async def test_an_invalid_project_is_refused(manager, session, bad):
    body = {"slug": "gemini", "name": "Gemini", **bad}
    assert (await manager.post("/projects", json=body)).status_code == 422
    assert await session.scalar(select(func.count(Project.id))) == 0


@pytest.mark.parametrize(
    ("field", "value"),
    [("name", "Apollo 11"), ("description", "To the moon."), ("archived", True)],
)
async def test_its_owner_changes_a_project(manager, project, field, value):
    answer = await manager.patch("/projects/apollo", json={field: value})
    assert answer.json() == {**project, field: value}
    assert (await manager.get("/projects/apollo")).json()[field] == value


async def test_an_administrator_changes_any_project(admin, project):
    answer = await admin.patch("/projects/apollo", json={"name": "Artemis"})
    assert answer.json()["name"] == "Artemis"


async def test_another_manager_sees_nothing_of_it(admin, member, ids, project):
    await admin.patch(f"/users/{ids['moe']}", json={"role": "manager"})
    await admin.delete("/projects/apollo/members/mia")
    assert (await member.get("/projects/apollo")).status_code == 404


async def test_a_member_with_the_right_still_needs_to_own_it(admin, member, ids, project):
    await admin.patch(f"/users/{ids['mia']}", json={"role": "manager"})
    answer = await member.patch("/projects/apollo", json={"name": "Mine"})
    assert answer.status_code == 403
    assert answer.json()["detail"] == "only its owner changes a project"


@pytest.mark.parametrize(
    ("actor", "wanted"),
    [
        ("admin", ["apollo", "gemini", "vostok"]),
        ("manager", ["apollo", "gemini"]),
        ("member", ["apollo"]),
        ("guest", ["apollo"]),
    ],
)
async def test_each_sees_their_own_projects(actors, project, actor, wanted):
    await add(actors["manager"], "gemini")
    await add(actors["admin"], "vostok")
    assert await slugs(actors[actor]) == wanted


@pytest.mark.parametrize(
    ("limit", "offset", "wanted"),
    [(2, 0, ["a1", "a2"]), (2, 2, ["a3", "a4"]), (2, 4, ["a5"]), (5, 5, []), (1, 3, ["a4"])],
)
async def test_pages_of_projects(manager, limit, offset, wanted):
    await add(manager, "a3", "a1", "a5", "a2", "a4")
    assert await slugs(manager, limit=limit, offset=offset) == wanted


@pytest.mark.parametrize(("archived", "wanted"), [(True, ["gemini"]), (False, ["apollo"])])
async def test_archived_projects_are_listed_apart(manager, project, archived, wanted):
    await add(manager, "gemini")
    await manager.patch("/projects/gemini", json={"archived": True})
    assert await slugs(manager, archived=archived) == wanted


async def test_what_is_in_a_project_goes_with_it(manager, session, task):
    assert (await manager.delete("/projects/apollo")).status_code == 204
    assert await session.scalar(select(func.count(Task.id))) == 0
    assert (await manager.get(f"/tasks/{task['id']}")).status_code == 404


@pytest.mark.parametrize("method", ["get", "patch", "delete"])
async def test_an_unknown_project_is_not_found(manager, method):
    body = {"json": {"name": "X"}} if method == "patch" else {}
    assert (await getattr(manager, method)("/projects/nowhere", **body)).status_code == 404


async def test_a_slug_is_free_again_after_its_project_is_deleted(manager, project):
    await manager.delete("/projects/apollo")
    await add(manager, "apollo")
    assert await slugs(manager) == ["apollo"]
