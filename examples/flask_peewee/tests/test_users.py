import pytest

from app.models import User
from tests.people import PEOPLE

NEW = {"username": "zoe", "email": "zoe@example.org", "password": "long enough"}


@pytest.mark.parametrize("role", ["admin", "manager", "clerk", "customer", "nothing"])
def test_users_are_filtered_by_role(admin, role):
    listing = admin.get("/users", query_string={"role": role, "limit": 50}).json
    wanted = sorted(name for name, given in PEOPLE.items() if given == role)
    assert [user["username"] for user in listing["items"]] == wanted
    assert listing["total"] == len(wanted)


@pytest.mark.parametrize("offset", [0, 1, 4, 6])
@pytest.mark.parametrize("limit", [2, 5])
def test_pages_of_users(manager, limit, offset):
    listing = manager.get("/users", query_string={"limit": limit, "offset": offset}).json
    wanted = sorted(PEOPLE)[offset : offset + limit]
    assert [user["username"] for user in listing["items"]] == wanted
    assert listing["total"] == len(PEOPLE)


@pytest.mark.parametrize(
    "page",
    [{"limit": 0}, {"limit": 51}, {"limit": "many"}, {"offset": -1}, {"offset": "1.5"}, {"x": 1}],
    ids=str,
)
def test_a_page_has_bounds(admin, page):
    assert admin.get("/users", query_string=page).status_code == 422


@pytest.mark.parametrize("role", ["admin", "manager", "clerk", "customer"])
def test_a_new_user_has_the_role_they_were_given(admin, role):
    answer = admin.post("/users", json={**NEW, "role": role})
    assert (answer.status_code, answer.json["role"]) == (201, role)
    zoe = User.get_by_id(answer.json["id"])
    assert (zoe.role.name, zoe.active) == (role, True)
    assert NEW["password"] not in zoe.password_hash


def test_a_new_user_is_a_customer_and_can_log_in(admin, anonymous):
    assert admin.post("/users", json=NEW).json["role"] == "customer"
    login = {"username": "zoe", "password": NEW["password"]}
    assert anonymous.post("/token", json=login).status_code == 200


@pytest.mark.parametrize(
    "clash", [{"username": "ada"}, {"email": "ada@example.org"}], ids=["username", "email"]
)
def test_a_clash_adds_nobody(admin, clash):
    assert admin.post("/users", json={**NEW, **clash}).status_code == 409
    assert User.select().count() == len(PEOPLE)


@pytest.mark.parametrize(
    "bad",
    [
        {"username": "Zoe"},
        {"username": "zo"},
        {"username": "z" * 21},
        {"username": "1zoe"},
        {"email": "zoe"},
        {"email": "zoe@example"},
        {"password": "short"},
        {"password": "x" * 65},
        {"role": "emperor"},
        {"active": "yes"},
        {"admin": True},
    ],
    ids=str,
)
def test_an_invalid_user_is_refused(admin, bad):
    assert admin.post("/users", json={**NEW, **bad}).status_code == 422
    assert User.select().count() == len(PEOPLE)


@pytest.mark.parametrize("username", PEOPLE)
def test_a_user_is_read_by_id(manager, ids, username):
    user = manager.get(f"/users/{ids[username]}").json
    assert (user["username"], user["role"]) == (username, PEOPLE[username])


@pytest.mark.parametrize("method", ["get", "patch", "delete"])
def test_an_unknown_user_is_not_found(admin, method):
    assert getattr(admin, method)("/users/999999", json={}).status_code == 404


@pytest.mark.parametrize("role", ["admin", "manager", "clerk"])
def test_a_promotion_takes_effect_at_once(admin, customer, ids, role):
    assert customer.get("/stock/BK-1").status_code == 403
    admin.patch(f"/users/{ids['cora']}", json={"role": role})
    assert customer.get("/stock/BK-1").status_code == 200


def test_a_deleted_user_is_gone(admin, ids):
    assert admin.delete(f"/users/{ids['carl']}").status_code == 204
    assert admin.get(f"/users/{ids['carl']}").status_code == 404
    assert admin.get("/users").json["total"] == len(PEOPLE) - 1


def test_nobody_deletes_themselves(admin, ids):
    assert admin.delete(f"/users/{ids['ada']}").status_code == 409


def test_a_customer_with_orders_is_not_deleted(admin, ids, order):
    assert admin.delete(f"/users/{ids['cora']}").status_code == 409


def test_a_clash_changes_nobody(admin, ids):
    answer = admin.patch(f"/users/{ids['carl']}", json={"email": "ada@example.org"})
    assert answer.status_code == 409
    assert User.get_by_id(ids["carl"]).email == "carl@example.org"
