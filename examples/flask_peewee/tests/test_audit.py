import pytest

from tests.people import PASSWORD

NEW = {"username": "zoe", "email": "zoe@example.org", "password": "long enough"}
PRODUCT = {"sku": "TE-9", "name": "Darjeeling", "category": "Tea", "price_cents": 1300}


def test_nothing_has_happened(admin):
    assert admin.get("/audit").json == {"items": [], "total": 0}


@pytest.mark.parametrize(
    ("method", "path", "body", "action", "subject"),
    [
        ("post", "/users", NEW, "user.create", "zoe"),
        ("post", "/products", PRODUCT, "product.create", "TE-9"),
        ("patch", "/products/BK-1", {"name": "Tale"}, "product.change", "BK-1"),
        ("delete", "/products/TE-2", {}, "product.delete", "TE-2"),
        (
            "post",
            "/stock/BK-1/moves",
            {"warehouse": "MAIN", "change": 1, "reason": "found"},
            "stock.move",
            "BK-1",
        ),
        (
            "post",
            "/me/password",
            {"old": PASSWORD, "new": "battery staple"},
            "password.change",
            "ada",
        ),
    ],
    ids=lambda value: value if isinstance(value, str) else "",
)
def test_what_is_noted(admin, method, path, body, action, subject):
    assert getattr(admin, method)(path, json=body).status_code in (200, 201, 204)
    (entry,) = admin.get("/audit").json["items"]
    assert entry == {"actor": "ada", "action": action, "subject": subject}


@pytest.mark.parametrize("action", ["user.create", "product.create", "order.ship"])
def test_entries_of_an_action(admin, action):
    admin.post("/users", json=NEW)
    admin.post("/products", json=PRODUCT)
    entries = admin.get("/audit", query_string={"action": action}).json
    assert entries["total"] == (0 if action == "order.ship" else 1)


def test_a_refusal_is_not_noted(admin):
    admin.post("/users", json={**NEW, "username": "ada"})
    admin.post("/products", json={**PRODUCT, "sku": "TE-1"})
    assert admin.get("/audit").json["total"] == 0
