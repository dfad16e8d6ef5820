import pytest

from shop.catalogue import PRODUCTS

SKUS = sorted(sku for sku, *_ in PRODUCTS)


def test_the_catalogue_is_listed_by_sku(client):
    assert [product["sku"] for product in client.get("/products").json()] == SKUS


def test_what_is_sold_out_is_left_out_on_request(client):
    listed = client.get("/products", params={"in_stock": True}).json()
    assert [product["sku"] for product in listed] == [sku for sku in SKUS if sku != "whisk"]


@pytest.mark.parametrize(("limit", "offset"), [(2, 0), (2, 2), (3, 4), (6, 0), (1, 6)])
def test_pages_of_products(client, limit, offset):
    listed = client.get("/products", params={"limit": limit, "offset": offset}).json()
    assert [product["sku"] for product in listed] == SKUS[offset : offset + limit]


@pytest.mark.parametrize(("sku", "name", "price_cents", "stock"), PRODUCTS)
def test_a_product_is_read_by_its_sku(client, sku, name, price_cents, stock):
    assert client.get(f"/products/{sku}").json() == {
        "sku": sku,
        "name": name,
        "price_cents": price_cents,
        "stock": stock,
    }


@pytest.mark.parametrize("path", ["/products/nothing", "/products/teas", "/products/no/reviews"])
def test_an_unknown_product_is_not_found(client, path):
    assert client.get(path).status_code == 404


def buy(shopper, sku):
    shopper.post("/orders", json={"lines": [{"sku": sku, "quantity": 1}]})


def test_only_a_buyer_reviews_a_product(shopper, stranger):
    buy(shopper, "tea")
    good = {"stars": 5, "text": "Fresh."}
    assert shopper.post("/products/tea/reviews", json=good).status_code == 201
    assert stranger.post("/products/tea/reviews", json=good).status_code == 403
    assert shopper.get("/products/tea/reviews").json() == [good]


def test_a_buyer_reviews_once(shopper):
    buy(shopper, "tea")
    answers = [shopper.post("/products/tea/reviews", json={"stars": n}) for n in (5, 1)]
    assert [answer.status_code for answer in answers] == [201, 409]


@pytest.mark.parametrize("stars", [0, 6, -1, 2.5, "five", None])
def test_stars_are_one_to_five(shopper, stars):
    buy(shopper, "tea")
    assert shopper.post("/products/tea/reviews", json={"stars": stars}).status_code == 422
    assert shopper.get("/products/tea/reviews").json() == []
