import pytest
from sqlalchemy import func, select

from app.models import User
from tests.people import PEOPLE

NEW = {"username": "zoe", "email": "zoe@example.org", "password": "long enough"}


async def test_users_are_listed_by_name(admin):
    listing = (await admin.get("/users")).json()
    assert listing["total"] == len(PEOPLE)
    assert [user["username"] for user in listing["items"]] == sorted(PEOPLE)


@pytest.mark.parametrize("role", ["admin", "manager", "member", "guest", "nothing"])
async def test_users_are_filtered_by_role(admin, role):
    listing = (await admin.get("/users", params={"role": role})).json()
    wanted = sorted(name for name, given in PEOPLE.items() if given == role)
    assert [user["username"] for user in listing["items"]] == wanted
    assert listing["total"] == len(wanted)


@pytest.mark.parametrize(
    ("limit", "offset", "wanted"),
    [
        (2, 0, ["ada", "gus"]),
        (2, 2, ["ida", "max"]),
        (2, 4, ["mia", "moe"]),
        (3, 5, ["moe"]),
        (50, 0, ["ada", "gus", "ida", "max", "mia", "moe"]),
    ],
)
async def test_pages_of_users(admin, limit, offset, wanted):
    listing = (await admin.get("/users", params={"limit": limit, "offset": offset})).json()
    assert [user["username"] for user in listing["items"]] == wanted
    assert listing["total"] == len(PEOPLE)


@pytest.mark.parametrize("page", [{"limit": 0}, {"limit": 51}, {"limit": "many"}, {"offset": -1}])
async def test_a_page_has_bounds(admin, page):
    assert (await admin.get("/users", params=page)).status_code == 422


@pytest.mark.parametrize("role", ["admin", "manager", "member", "guest"])
async def test_a_new_user_has_the_role_they_were_given(admin, session, role):
    answer = await admin.post("/users", json={**NEW, "role": role})
    assert answer.status_code == 201
    assert answer.json()["role"]["name"] == role
    zoe = await session.get(User, answer.json()["id"])
    assert zoe is not None
    assert zoe.password_hash != NEW["password"]


async def test_a_new_user_is_a_member_and_can_log_in(admin, anonymous):
    await admin.post("/users", json=NEW)
    login = {"username": "zoe", "password": "long enough"}
    token = (await anonymous.post("/token", json=login)).json()["token"]
    me = await anonymous.get("/me", headers={"Authorization": f"Bearer {token}"})
    assert me.json()["role"]["name"] == "member"


@pytest.mark.parametrize(
    "clash", [{"username": "ada"}, {"email": "ada@example.org"}], ids=["username", "email"]
)
async def test_a_clash_adds_nobody(admin, session, clash):
    answer = await admin.post("/users", json={**NEW, **clash})
    assert answer.status_code == 409
    assert await session.scalar(select(func.count(User.id))) == len(PEOPLE)


@pytest.mark.parametrize(
    "bad",
    [
        {"username": "Zoe"},
        {"username": "zo"},
        {"username": "z" * 21},
        {"username": "1zoe"},
        {"email": "zoe"},
        {"password": "short"},
        {"password": "x" * 65},
        {"role": "emperor"},
    ],
    ids=str,
)
async def test_an_invalid_user_is_refused(admin, session, bad):
    assert (await admin.post("/users", json={**NEW, **bad})).status_code == 422
    assert await session.scalar(select(func.count(User.id))) == len(PEOPLE)


@pytest.mark.parametrize("username", ["ada", "max", "ida"])
async def test_a_user_is_read_by_id(manager, ids, username):
    user = (await manager.get(f"/users/{ids[username]}")).json()
    assert (user["username"], user["role"]["name"]) == (username, PEOPLE[username])


@pytest.mark.parametrize("method", ["get", "patch", "delete"])
async def test_an_unknown_user_is_not_found(admin, method):
    body = {"json": {"full_name": "X"}} if method == "patch" else {}
    answer = await getattr(admin, method)("/users/999999", **body)
    assert answer.status_code == 404


@pytest.mark.parametrize("role", ["admin", "manager", "guest"])
async def test_a_promotion_takes_effect_at_once(admin, member, ids, role):
    before = (await member.get("/users")).status_code
    await admin.patch(f"/users/{ids['mia']}", json={"role": role})
    after = (await member.get("/users")).status_code
    assert (before, after) == (403, 403 if role == "guest" else 200)


async def test_a_deactivated_user_is_locked_out(admin, member, ids):
    assert (await member.get("/me")).status_code == 200
    await admin.patch(f"/users/{ids['mia']}", json={"active": False})
    assert (await member.get("/me")).status_code == 401


async def test_an_unknown_role_is_not_given(admin, ids):
    answer = await admin.patch(f"/users/{ids['mia']}", json={"role": "emperor"})
    assert answer.status_code == 422
    assert (await admin.get(f"/users/{ids['mia']}")).json()["role"]["name"] == "member"


async def test_a_deleted_user_is_gone(admin, ids):
    assert (await admin.delete(f"/users/{ids['moe']}")).status_code == 204
    assert (await admin.get(f"/users/{ids['moe']}")).status_code == 404
    assert (await admin.get("/users")).json()["total"] == len(PEOPLE) - 1


async def test_nobody_deletes_themselves(admin, ids):
    assert (await admin.delete(f"/users/{ids['ada']}")).status_code == 409


async def test_an_owner_of_projects_is_not_deleted(admin, project, ids):
    assert (await admin.delete(f"/users/{ids['max']}")).status_code == 409
    assert (await admin.get("/projects/apollo")).json()["owner"]["username"] == "max"
