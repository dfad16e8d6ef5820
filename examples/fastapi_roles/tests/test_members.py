import pytest


async def names(client):
    return [person["username"] for person in (await client.get("/projects/apollo/members")).json()]


async def test_members_are_listed_by_name(guest, project):
    assert await names(guest) == ["gus", "mia"]


async def test_a_new_member_sees_the_project(manager, other_member, project):
    assert (await other_member.get("/projects/apollo")).status_code == 404
    await manager.put("/projects/apollo/members/moe")
    assert (await other_member.get("/projects/apollo")).status_code == 200
    assert await names(manager) == ["gus", "mia", "moe"]


async def test_who_is_a_member_stays_one(manager, project):
    answer = await manager.put("/projects/apollo/members/mia")
    assert answer.status_code == 200
    assert await names(manager) == ["gus", "mia"]


async def test_who_is_removed_sees_nothing(manager, member, project):
    assert (await manager.delete("/projects/apollo/members/mia")).status_code == 204
    assert (await member.get("/projects/apollo")).status_code == 404
    assert await names(manager) == ["gus"]


@pytest.mark.parametrize(("method", "username"), [("put", "nobody"), ("delete", "moe")])
async def test_an_unknown_member_is_not_found(manager, project, method, username):
    answer = await getattr(manager, method)(f"/projects/apollo/members/{username}")
    assert answer.status_code == 404
    assert username in answer.json()["detail"]
