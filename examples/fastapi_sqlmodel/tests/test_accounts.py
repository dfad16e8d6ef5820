import pytest
from sqlmodel import func, select

from shop.models import Login, User
from tests.factories import PASSWORD, UserFactory

NEW = {"email": "zoe@example.org", "name": "Zoe", "password": "long enough"}


def test_who_signs_up_can_log_in(client):
    assert client.post("/users", json=NEW).status_code == 201
    login = {"email": NEW["email"], "password": NEW["password"]}
    token = client.post("/logins", json=login).json()["token"]
    profile = client.get("/me", headers={"Authorization": f"Bearer {token}"}).json()
    assert profile["email"] == "zoe@example.org"


def test_no_password_is_stored(client, session):
    client.post("/users", json=NEW)
    user = session.exec(select(User)).one()
    assert NEW["password"] not in user.password_hash


def test_an_address_is_registered_once(client, session, user):
    answer = client.post("/users", json={**NEW, "email": user.email})
    assert answer.status_code == 409
    assert session.exec(select(func.count(User.id))).one() == 1


@pytest.mark.parametrize("field", ["email", "name", "password"])
def test_every_field_is_needed(client, session, field):
    body = {key: value for key, value in NEW.items() if key != field}
    assert client.post("/users", json=body).status_code == 422
    assert session.exec(select(func.count(User.id))).one() == 0


@pytest.mark.parametrize(
    "bad",
    [
        {"email": "zoe"},
        {"email": "@example.org"},
        {"email": "zoe@example"},
        {"email": "z oe@example.org"},
        {"name": ""},
        {"name": "z" * 61},
        {"password": "short"},
        {"password": "x" * 65},
    ],
    ids=str,
)
def test_an_invalid_sign_up_is_refused(client, session, bad):
    assert client.post("/users", json={**NEW, **bad}).status_code == 422
    assert session.exec(select(func.count(User.id))).one() == 0


def test_the_first_user_of_a_clean_shop_is_number_one(client):
    assert client.post("/users", json=NEW).json()["id"] == 1


@pytest.mark.parametrize("password", ["", "wrong horse", "CORRECT HORSE", PASSWORD + " "])
def test_a_wrong_password_opens_nothing(client, session, user, password):
    answer = client.post("/logins", json={"email": user.email, "password": password})
    assert answer.status_code == 401
    assert session.exec(select(func.count()).select_from(Login)).one() == 0


def test_an_unknown_address_opens_nothing(client):
    answer = client.post("/logins", json={"email": "no@example.org", "password": PASSWORD})
    assert answer.status_code == 401


def test_each_login_has_a_token_of_its_own(client, user):
    body = {"email": user.email, "password": PASSWORD}
    tokens = {client.post("/logins", json=body).json()["token"] for _ in range(3)}
    assert len(tokens) == 3


def test_who_logs_out_is_out(shopper):
    assert shopper.get("/me").status_code == 200
    assert shopper.delete("/logins").status_code == 204
    assert shopper.get("/me").status_code == 401


@pytest.mark.parametrize("header", ["", "Bearer ", "Bearer nonsense", "nonsense"])
@pytest.mark.parametrize("path", ["/me", "/me/addresses", "/orders"])
def test_what_is_private_needs_a_login(client, path, header):
    assert client.get(path, headers={"Authorization": header}).status_code == 401


@pytest.mark.parametrize(("field", "value"), [("email", "new@example.org"), ("name", "Ada")])
def test_a_profile_is_changed(shopper, field, value):
    assert shopper.patch("/me", json={field: value}).json()[field] == value
    assert shopper.get("/me").json()[field] == value


@pytest.mark.parametrize("change", [{"email": "none"}, {"name": ""}, {"name": 7}], ids=str)
def test_a_bad_change_changes_nothing(shopper, change):
    before = shopper.get("/me").json()
    assert shopper.patch("/me", json=change).status_code == 422
    assert shopper.get("/me").json() == before


def test_nobody_takes_anothers_address(shopper):
    other = UserFactory()
    assert shopper.patch("/me", json={"email": other.email}).status_code == 409


@pytest.mark.parametrize("count", [1, 2, 5])
def test_factories_make_distinct_people(session, count):
    UserFactory.create_batch(count)
    assert session.exec(select(func.count(User.email.distinct()))).one() == count


def test_a_test_makes_the_same_people_every_time(user, reseed):
    reseed()
    assert UserFactory.build().email == user.email
