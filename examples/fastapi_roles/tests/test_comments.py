import pytest


async def say(client, task, body):
    return await client.post(f"/tasks/{task['id']}/comments", json={"body": body})


@pytest.mark.parametrize(("actor", "name"), [("member", "mia"), ("manager", "max")])
async def test_a_comment_names_its_author(actors, task, actor, name):
    answer = await say(actors[actor], task, "Well done.")
    assert answer.status_code == 201
    assert answer.json()["author"]["username"] == name


async def test_comments_keep_their_order(member, manager, guest, task):
    await say(member, task, "first")
    await say(manager, task, "second")
    await say(member, task, "third")
    listing = (await guest.get(f"/tasks/{task['id']}/comments")).json()
    assert [comment["body"] for comment in listing["items"]] == ["first", "second", "third"]


@pytest.mark.parametrize(("limit", "offset", "wanted"), [(2, 0, 2), (2, 3, 1), (2, 4, 0)])
async def test_pages_of_comments(member, task, limit, offset, wanted):
    for number in range(4):
        await say(member, task, f"number {number}")
    path = f"/tasks/{task['id']}/comments"
    listing = (await member.get(path, params={"limit": limit, "offset": offset})).json()
    assert (listing["total"], len(listing["items"])) == (4, wanted)


@pytest.mark.parametrize("body", ["", "x" * 501, None], ids=["empty", "long", "null"])
async def test_an_invalid_comment_is_refused(member, task, body):
    assert (await say(member, task, body)).status_code == 422
    assert (await member.get(f"/tasks/{task['id']}/comments")).json()["total"] == 0


async def test_comments_go_with_their_task(member, task):
    await say(member, task, "Soon gone.")
    await member.delete(f"/tasks/{task['id']}")
    assert (await member.get(f"/tasks/{task['id']}/comments")).status_code == 404
