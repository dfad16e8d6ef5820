import pytest

from app.models import PriceChange, Product, ProductTag, Tag
from tests.people import CATEGORIES, PRODUCTS

NEW = {"sku": "TE-9", "name": "Darjeeling", "category": "Tea", "price_cents": 1300}
BY_NAME = sorted(PRODUCTS, key=lambda sku: PRODUCTS[sku][0])


def skus(answer):
    return [product["sku"] for product in answer.json["items"]]


@pytest.mark.parametrize("category", [*CATEGORIES, "Shoes"])
def test_products_of_a_category(anonymous, category):
    answer = anonymous.get("/products", query_string={"category": category})
    wanted = [sku for sku in BY_NAME if PRODUCTS[sku][1] == category]
    assert (skus(answer), answer.json["total"]) == (wanted, len(wanted))


@pytest.mark.parametrize("offset", [0, 3, 7])
@pytest.mark.parametrize("limit", [2, 7])
def test_pages_of_products(anonymous, limit, offset):
    answer = anonymous.get("/products", query_string={"limit": limit, "offset": offset})
    assert skus(answer) == BY_NAME[offset : offset + limit]
    assert answer.json["total"] == len(PRODUCTS)


@pytest.mark.parametrize(
    ("sort", "wanted"),
    [
        ("price", ["BK-2", "TE-1", "BK-1", "TE-2", "BK-3", "GM-2", "GM-1"]),
        ("-price", ["GM-1", "GM-2", "BK-3", "TE-2", "BK-1", "BK-2", "TE-1"]),
        ("name", BY_NAME),
    ],
)
def test_sorting(anonymous, sort, wanted):
    assert skus(anonymous.get("/products", query_string={"sort": sort})) == wanted


@pytest.mark.parametrize(
    ("least", "most", "wanted"),
    [
        (1, 700, ["BK-2", "TE-1"]),
        (701, 1100, ["BK-1", "TE-2"]),
        (1200, 1200, ["BK-3"]),
        (5000, 9000, []),
        (1100, 4899, ["TE-2", "BK-3", "GM-2"]),
    ],
)
def test_prices_between(anonymous, least, most, wanted):
    query = {"least": least, "most": most, "sort": "price"}
    assert skus(anonymous.get("/products", query_string=query)) == wanted


@pytest.mark.parametrize(
    ("words", "wanted"),
    [("tea", ["TE-2"]), ("TIME", ["BK-2"]), ("ss", ["TE-1", "GM-2"]), ("%", [])],
)
def test_searching(anonymous, words, wanted):
    assert skus(anonymous.get("/products", query_string={"q": words})) == wanted


@pytest.mark.parametrize(
    "query", [{"sort": "colour"}, {"least": 0}, {"most": "much"}, {"q": ""}], ids=str
)
def test_a_query_that_is_refused(anonymous, query):
    assert anonymous.get("/products", query_string=query).status_code == 422


@pytest.mark.parametrize("sku", ["BK-1", "GM-1", "TE-1"])
def test_a_product(anonymous, sku):
    name, category, price_cents = PRODUCTS[sku]
    assert anonymous.get(f"/products/{sku}").json == {
        "sku": sku,
        "name": name,
        "category": category,
        "price_cents": price_cents,
        "active": True,
        "description": "",
        "stars": None,
        "tags": [],
    }


@pytest.mark.parametrize("role", ["admin", "manager"])
def test_a_new_product(actors, role):
    answer = actors[role].post("/products", json=NEW)
    assert (answer.status_code, answer.json) == (201, {**NEW, "active": True})
    assert actors["anonymous"].get("/products/TE-9").json["name"] == "Darjeeling"


def test_a_clash_adds_nothing(manager):
    assert manager.post("/products", json={**NEW, "sku": "TE-1"}).status_code == 409
    assert Product.select().count() == len(PRODUCTS)


@pytest.mark.parametrize(
    "bad",
    [
        {"sku": "te-9"},
        {"sku": "TE-"},
        {"name": ""},
        {"name": "x" * 81},
        {"category": "Shoes"},
        {"price_cents": 0},
        {"price_cents": "cheap"},
        {"price_cents": True},
        {"price_cents": 10_000_001},
    ],
    ids=str,
)
def test_an_invalid_product_is_refused(manager, bad):
    assert manager.post("/products", json={**NEW, **bad}).status_code == 422
    assert Product.select().count() == len(PRODUCTS)


@pytest.mark.parametrize("new_cents", [1, 900, 901])
def test_a_new_price_is_remembered(manager, new_cents):
    assert manager.patch("/products/BK-1", json={"price_cents": new_cents}).status_code == 200
    changes = [(change.old_cents, change.new_cents) for change in PriceChange.select()]
    assert changes == ([] if new_cents == 900 else [(900, new_cents)])


def test_what_is_not_sold_is_not_listed(manager, anonymous):
    manager.patch("/products/BK-1", json={"active": False})
    assert "BK-1" not in skus(anonymous.get("/products"))
    assert anonymous.get("/products/BK-1").json["active"] is False


def test_a_sku_is_for_life(manager):
    assert manager.patch("/products/BK-1", json={"sku": "BK-9"}).status_code == 422


def test_deleting(manager, anonymous):
    assert manager.delete("/products/TE-2").status_code == 204
    assert anonymous.get("/products/TE-2").status_code == 404


def test_what_was_ordered_is_not_deleted(manager, order):
    assert manager.delete("/products/BK-1").status_code == 409


@pytest.mark.parametrize("names", [["new"], ["new", "new"], ["old", "new"]], ids=len)
def test_tags(manager, anonymous, names):
    statuses = [manager.put(f"/products/BK-1/tags/{name}").status_code for name in names]
    manager.put("/products/GM-1/tags/new")
    assert statuses == [201 if names.index(n) == i else 204 for i, n in enumerate(names)]
    assert anonymous.get("/products/BK-1").json["tags"] == sorted(set(names))
    assert skus(anonymous.get("/products", query_string={"tag": "new"})) == ["BK-1", "GM-1"]
    assert (Tag.select().count(), ProductTag.select().count()) == (
        len(set(names)),
        len(set(names)) + 1,
    )
