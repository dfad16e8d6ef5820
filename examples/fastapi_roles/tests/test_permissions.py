"""Who may do what: every role on every kind of request."""

import pytest

ROLES = ("anonymous", "admin", "manager", "member", "guest")
USER = {"username": "zoe", "email": "zoe@example.org", "password": "long enough"}
PROJECT = {"slug": "gemini", "name": "Gemini"}

# Request, then what each of ROLES gets for it.
ALLOWED = [
    ("GET", "/roles", None, (401, 200, 200, 200, 200)),
    ("GET", "/users", None, (401, 200, 200, 403, 403)),
    ("POST", "/users", USER, (401, 201, 403, 403, 403)),
    ("PATCH", "/users/4", {"full_name": "Moe"}, (401, 200, 403, 403, 403)),
    ("GET", "/audit", None, (401, 200, 403, 403, 403)),
    ("POST", "/projects", PROJECT, (401, 201, 201, 403, 403)),
    ("PATCH", "/projects/apollo", {"name": "A"}, (401, 200, 200, 403, 403)),
    ("DELETE", "/projects/apollo", None, (401, 204, 204, 403, 403)),
    ("POST", "/projects/apollo/labels", {"name": "bug"}, (401, 201, 201, 403, 403)),
    ("POST", "/projects/apollo/tasks", {"title": "T"}, (401, 201, 201, 201, 403)),
]
CASES = [
    pytest.param(method, path, body, role, status, id=f"{role}-{method}-{path}")
    for method, path, body, statuses in ALLOWED
    for role, status in zip(ROLES, statuses, strict=True)
]


@pytest.mark.parametrize(("method", "path", "body", "role", "status"), CASES)
async def test_permission(actors, project, method, path, body, role, status):
    answer = await actors[role].request(method, path, json=body)
    assert answer.status_code == status


@pytest.mark.parametrize("role", ROLES[1:])
async def test_a_refusal_names_the_permission(actors, role):
    answer = await actors[role].get("/audit")
    if role == "admin":
        assert answer.status_code == 200
    else:
        assert answer.json()["detail"] == f"the role {role} lacks audit:read"


async def test_roles_are_listed_by_name(guest):
    roles = (await guest.get("/roles")).json()
    assert [entry["name"] for entry in roles] == ["admin", "guest", "manager", "member"]
