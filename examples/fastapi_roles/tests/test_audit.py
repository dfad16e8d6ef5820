import pytest

NEW = {"username": "zoe", "email": "zoe@example.org", "password": "long enough"}


async def actions(admin, **params):
    items = (await admin.get("/audit", params=params)).json()["items"]
    return [(entry["action"], entry["subject"]) for entry in items]


async def test_reading_leaves_no_entry(admin):
    await admin.get("/users")
    await admin.get("/projects")
    assert await actions(admin) == []


async def test_every_change_of_a_user_leaves_one(admin, ids):
    zoe = (await admin.post("/users", json=NEW)).json()
    await admin.patch(f"/users/{zoe['id']}", json={"role": "guest"})
    await admin.delete(f"/users/{zoe['id']}")
    assert await actions(admin) == [
        ("user.create", "zoe"),
        ("user.change", "zoe"),
        ("user.delete", "zoe"),
    ]


async def test_what_failed_leaves_none(admin):
    await admin.post("/users", json={**NEW, "username": "ada"})
    assert await actions(admin) == []


@pytest.mark.parametrize(
    ("action", "subject"), [("project.create", "gemini"), ("task.create", "gemini: Dock")]
)
async def test_entries_are_filtered_by_action(admin, action, subject):
    await admin.post("/projects", json={"slug": "gemini", "name": "Gemini"})
    await admin.post("/projects/gemini/tasks", json={"title": "Dock"})
    assert await actions(admin, action=action) == [(action, subject)]


async def test_an_entry_names_the_actor(admin, manager, project, ids):
    await manager.patch("/projects/apollo", json={"name": "Artemis"})
    entry = (await admin.get("/audit")).json()["items"][0]
    assert entry["actor_id"] == ids["max"]
