import pytest
from sqlalchemy import select

from app.models import User
from tests.people import PASSWORD


async def test_everybody_reads_their_own_profile(member):
    profile = (await member.get("/me")).json()
    assert profile["email"] == "mia@example.org"
    assert "password_hash" not in profile


@pytest.mark.parametrize(
    ("field", "value"), [("email", "new@example.org"), ("full_name", "Mia Moser")]
)
async def test_a_field_is_changed_for_good(member, session, field, value):
    answer = await member.patch("/me", json={field: value})
    assert answer.json()[field] == value
    mia = await session.scalar(select(User).where(User.username == "mia"))
    assert getattr(mia, field) == value


async def test_a_new_password_replaces_the_old_one(member, anonymous):
    await member.patch("/me", json={"password": "battery staple"})
    old = {"username": "mia", "password": PASSWORD}
    new = {"username": "mia", "password": "battery staple"}
    assert (await anonymous.post("/token", json=old)).status_code == 401
    assert (await anonymous.post("/token", json=new)).status_code == 200


async def test_an_address_belongs_to_one_person(member):
    answer = await member.patch("/me", json={"email": "moe@example.org"})
    assert answer.status_code == 409
    assert (await member.get("/me")).json()["email"] == "mia@example.org"


@pytest.mark.parametrize(
    "change", [{"email": "no address"}, {"email": "@"}, {"password": "short"}, {"full_name": 7}]
)
async def test_a_bad_change_changes_nothing(member, change):
    before = (await member.get("/me")).json()
    assert (await member.patch("/me", json=change)).status_code == 422
    assert (await member.get("/me")).json() == before


async def test_nobody_gives_themselves_a_role(member):
    await member.patch("/me", json={"role": "admin", "full_name": "Mia"})
    assert (await member.get("/me")).json()["role"]["name"] == "member"
