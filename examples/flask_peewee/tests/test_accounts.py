import pytest

from app.models import Address, LoginAttempt, User
from tests.people import LEFT, PASSWORD, PEOPLE

HOME = {"street": "Long Lane 1", "city": "London", "country": "GB"}


@pytest.mark.parametrize("username", [name for name in PEOPLE if name != LEFT])
def test_logging_in(anonymous, username):
    answer = anonymous.post("/token", json={"username": username, "password": PASSWORD})
    me = anonymous.get("/me", headers={"Authorization": f"Bearer {answer.json['token']}"})
    assert me.json["username"] == username


@pytest.mark.parametrize(
    ("username", "password"),
    [("ada", "wrong horse"), ("nobody", PASSWORD), (LEFT, PASSWORD), ("ADA", PASSWORD)],
)
def test_not_logging_in(anonymous, username, password):
    answer = anonymous.post("/token", json={"username": username, "password": password})
    assert answer.status_code == 401
    assert answer.json == {"error": "the user name or the password is wrong"}


@pytest.mark.parametrize(("failures", "status"), [(1, 200), (4, 200), (5, 429), (6, 429)])
def test_too_many_attempts(anonymous, failures, status):
    for _ in range(failures):
        anonymous.post("/token", json={"username": "cora", "password": "wrong"})
    answer = anonymous.post("/token", json={"username": "cora", "password": PASSWORD})
    assert answer.status_code == status
    assert LoginAttempt.select().count() == (failures + 1 if status == 200 else 5)


def test_a_success_ends_a_row_of_failures(anonymous):
    for password in ["wrong"] * 4 + [PASSWORD] + ["wrong"] * 4:
        anonymous.post("/token", json={"username": "cora", "password": password})
    answer = anonymous.post("/token", json={"username": "cora", "password": PASSWORD})
    assert answer.status_code == 200


@pytest.mark.parametrize(
    "change",
    [{"full_name": "Cora C."}, {"email": "c@example.com"}, {"full_name": ""}],
    ids=str,
)
def test_changing_oneself(customer, change):
    before = customer.get("/me").json
    assert customer.patch("/me", json=change).json == {**before, **change}
    assert customer.get("/me").json == {**before, **change}


@pytest.mark.parametrize(
    ("change", "status"),
    [
        ({"email": "ada@example.org"}, 409),
        ({"email": "cora"}, 422),
        ({"full_name": "x" * 81}, 422),
        ({"full_name": 7}, 422),
        ({"role": "admin"}, 422),
        ({"username": "cora2"}, 422),
    ],
    ids=str,
)
def test_what_nobody_changes_of_oneself(customer, change, status):
    before = customer.get("/me").json
    assert customer.patch("/me", json=change).status_code == status
    assert customer.get("/me").json == before


def test_a_new_password(customer, anonymous):
    change = {"old": PASSWORD, "new": "battery staple"}
    assert customer.post("/me/password", json=change).status_code == 204
    for password, status in [(PASSWORD, 401), ("battery staple", 200)]:
        answer = anonymous.post("/token", json={"username": "cora", "password": password})
        assert answer.status_code == status


@pytest.mark.parametrize(
    ("change", "status"),
    [
        ({"old": "wrong", "new": "battery staple"}, 403),
        ({"old": PASSWORD, "new": "short"}, 422),
        ({"old": PASSWORD, "new": "x" * 65}, 422),
        ({"old": PASSWORD}, 422),
    ],
    ids=str,
)
def test_a_password_that_is_not_changed(customer, change, status):
    stored = User.get(User.username == "cora").password_hash
    assert customer.post("/me/password", json=change).status_code == status
    assert User.get(User.username == "cora").password_hash == stored


def test_addresses(customer, other_customer):
    numbers = [
        customer.post("/me/addresses", json={**HOME, "city": city}).json["id"]
        for city in ("London", "Paris")
    ]
    assert other_customer.delete(f"/me/addresses/{numbers[0]}").status_code == 404
    assert customer.delete(f"/me/addresses/{numbers[0]}").status_code == 204
    assert [each["city"] for each in customer.get("/me/addresses").json["items"]] == ["Paris"]
    assert other_customer.get("/me/addresses").json == {"items": []}


def test_the_first_address_has_the_first_number(customer):
    assert customer.post("/me/addresses", json=HOME).json == {"id": 1, **HOME}


@pytest.mark.parametrize(
    "bad",
    [{"street": ""}, {"city": "x" * 61}, {"country": "gb"}, {"country": "GBR"}, {"zip": "N1"}],
    ids=str,
)
def test_an_address_that_is_refused(customer, bad):
    assert customer.post("/me/addresses", json={**HOME, **bad}).status_code == 422
    assert Address.select().count() == 0


@pytest.mark.parametrize("field", HOME)
def test_an_address_that_is_not_whole(customer, field):
    given = {name: value for name, value in HOME.items() if name != field}
    answer = customer.post("/me/addresses", json=given)
    assert (answer.status_code, answer.json) == (422, {"error": f"{field} is missing"})
