import pytest


async def test_a_label_has_a_colour_of_its_own(manager, project):
    answer = await manager.post("/projects/apollo/labels", json={"name": "urgent"})
    assert answer.status_code == 201
    assert answer.json()["colour"] == "#888888"


async def test_labels_are_listed_by_name(manager, guest, project):
    for name in ("urgent", "bug", "later"):
        await manager.post("/projects/apollo/labels", json={"name": name, "colour": "#ff0000"})
    labels = (await guest.get("/projects/apollo/labels")).json()
    assert [label["name"] for label in labels] == ["bug", "later", "urgent"]
    assert {label["colour"] for label in labels} == {"#ff0000"}


async def test_a_name_is_taken_once_in_a_project(manager, project):
    first = await manager.post("/projects/apollo/labels", json={"name": "bug"})
    second = await manager.post("/projects/apollo/labels", json={"name": "bug"})
    assert (first.status_code, second.status_code) == (201, 409)


async def test_another_project_may_have_the_same_label(manager, project):
    await manager.post("/projects", json={"slug": "gemini", "name": "Gemini"})
    for slug in ("apollo", "gemini"):
        answer = await manager.post(f"/projects/{slug}/labels", json={"name": "bug"})
        assert answer.status_code == 201


@pytest.mark.parametrize(
    "bad",
    [{"name": ""}, {"name": "x" * 21}, {"colour": "red"}, {"colour": "#FFF"}, {"colour": ""}],
    ids=str,
)
async def test_an_invalid_label_is_refused(manager, project, bad):
    answer = await manager.post("/projects/apollo/labels", json={"name": "bug", **bad})
    assert answer.status_code == 422
    assert (await manager.get("/projects/apollo/labels")).json() == []


async def test_a_task_carries_labels(manager, member, task):
    for name in ("urgent", "bug"):
        await manager.post("/projects/apollo/labels", json={"name": name})
        answer = await member.put(f"/tasks/{task['id']}/labels/{name}")
    assert [label["name"] for label in answer.json()["labels"]] == ["bug", "urgent"]


async def test_a_label_is_put_on_a_task_once(manager, member, task):
    await manager.post("/projects/apollo/labels", json={"name": "bug"})
    await member.put(f"/tasks/{task['id']}/labels/bug")
    answer = await member.put(f"/tasks/{task['id']}/labels/bug")
    assert [label["name"] for label in answer.json()["labels"]] == ["bug"]


async def test_a_label_of_another_project_is_not_found(manager, member, task):
    await manager.post("/projects", json={"slug": "gemini", "name": "Gemini"})
    await manager.post("/projects/gemini/labels", json={"name": "bug"})
    assert (await member.put(f"/tasks/{task['id']}/labels/bug")).status_code == 404
