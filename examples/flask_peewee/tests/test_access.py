import pytest

from app.roles import ROLES
from app.security import issue_token

# Who may do it; 401 for those who are nobody, 403 for the others.
DOORS = {
    ("get", "/users"): ("admin", "manager"),
    ("post", "/users"): ("admin",),
    ("patch", "/users/999999"): ("admin",),
    ("post", "/products"): ("admin", "manager"),
    ("patch", "/products/NO-1"): ("admin", "manager"),
    ("get", "/stock/BK-1"): ("admin", "manager", "clerk"),
    ("post", "/stock/BK-1/moves"): ("admin", "manager", "clerk"),
    ("post", "/orders/999999/ship"): ("admin", "manager"),
    ("get", "/audit"): ("admin",),
    ("get", "/me"): ("admin", "manager", "clerk", "customer"),
    ("get", "/orders"): ("admin", "manager", "clerk", "customer"),
    ("get", "/products"): ("anonymous", "admin", "manager", "clerk", "customer"),
}


@pytest.mark.parametrize("role", ["anonymous", "admin", "manager", "clerk", "customer"])
@pytest.mark.parametrize(("method", "path"), DOORS)
def test_doors(actors, method, path, role):
    status = getattr(actors[role], method)(path, json={} if method != "get" else None).status_code
    if role in DOORS[method, path]:
        assert status in (200, 404, 422)
    else:
        assert status == (401 if role == "anonymous" else 403)


@pytest.mark.parametrize(
    "header",
    [
        "",
        "Bearer",
        "Bearer ada",
        "Basic YWRhOg==",
        f"Bearer {issue_token('ada')}x",
        f"bearer {issue_token('ada')}",
        f"Bearer {issue_token('nobody')}",
        f"Bearer {issue_token('ida')}",
    ],
)
def test_what_is_no_token(anonymous, header):
    answer = anonymous.get("/me", headers={"Authorization": header})
    assert answer.status_code == 401
    assert "error" in answer.json


@pytest.mark.parametrize("role", ROLES)
def test_everybody_knows_their_role(actors, role):
    assert actors[role].get("/me").json["role"] == role


def test_a_deactivated_user_is_locked_out(admin, customer, ids):
    assert customer.get("/me").status_code == 200
    admin.patch(f"/users/{ids['cora']}", json={"active": False})
    assert customer.get("/me").status_code == 401
