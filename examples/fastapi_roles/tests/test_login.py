import pytest

from app.security import issue_token
from tests.people import LEFT, PASSWORD, PEOPLE


@pytest.mark.parametrize("username", [name for name in PEOPLE if name != LEFT])
async def test_a_token_says_who_its_bearer_is(anonymous, username):
    answer = await anonymous.post("/token", json={"username": username, "password": PASSWORD})
    assert answer.status_code == 200
    bearer = {"Authorization": f"Bearer {answer.json()['token']}"}
    profile = await anonymous.get("/me", headers=bearer)
    assert profile.json()["username"] == username
    assert profile.json()["role"]["name"] == PEOPLE[username]


@pytest.mark.parametrize(
    ("username", "password"),
    [("ada", "wrong horse"), ("ada", ""), ("nobody", PASSWORD), ("", ""), ("ADA", PASSWORD)],
)
async def test_wrong_credentials_are_refused(anonymous, username, password):
    answer = await anonymous.post("/token", json={"username": username, "password": password})
    assert answer.status_code == 401
    assert answer.json()["detail"] == "wrong user name or password"


async def test_who_has_left_cannot_log_in(anonymous):
    answer = await anonymous.post("/token", json={"username": LEFT, "password": PASSWORD})
    assert answer.status_code == 401
    assert answer.json()["detail"] == "this account is not active"


async def test_a_token_dies_with_the_account(anonymous):
    bearer = {"Authorization": f"Bearer {issue_token(LEFT)}"}
    assert (await anonymous.get("/me", headers=bearer)).status_code == 401


@pytest.mark.parametrize(
    "header",
    ["", "Bearer ada", "Bearer ada.0000", f"Basic {issue_token('ada')}", "ada"],
)
async def test_a_forged_token_is_refused(anonymous, header):
    answer = await anonymous.get("/me", headers={"Authorization": header})
    assert answer.status_code == 401


@pytest.mark.parametrize("body", [{}, {"username": "ada"}, {"password": PASSWORD}])
async def test_a_login_needs_both_fields(anonymous, body):
    assert (await anonymous.post("/token", json=body)).status_code == 422
