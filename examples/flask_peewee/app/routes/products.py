"""The catalogue, and what people say about it."""

from flask import Blueprint, abort, g
from peewee import IntegrityError, fn

from app.access import allowed, logged_in, may, note
from app.database import database
from app.inputs import PAGE, body, one_of, page, query, text, whole, yes_or_no
from app.models import Category, OrderLine, PriceChange, Product, ProductTag, Review, Tag, User

blueprint = Blueprint("products", __name__, url_prefix="/products")
PRICE = whole(1, 10_000_000)
FIELDS = {
    "sku": text(r"[A-Z]{2,4}-\d{1,6}"),
    "name": text(r".{1,80}"),
    "description": text(r"(?s).{0,2000}"),
    "category": text(r".{1,40}"),
    "price_cents": PRICE,
    "active": yes_or_no,
}
SORTED = {
    "name": (Product.name, Product.id),
    "price": (Product.price_cents, Product.id),
    "-price": (Product.price_cents.desc(), Product.id),
}


def shown(product):
    return {
        "sku": product.sku,
        "name": product.name,
        "category": product.category.name,
        "price_cents": product.price_cents,
        "active": product.active,
    }


def found(sku):
    product = Product.get_or_none(Product.sku == sku)
    return product or abort(404, f"there is no product {sku}")


def columns(given):
    values = dict(given)
    if "category" in values:
        category = Category.get_or_none(Category.name == values["category"])
        values["category"] = category or abort(422, f"there is no category {values['category']}")
    return values


@blueprint.get("")
def list_products():
    wanted = query(
        category=text(r".{1,40}"),
        tag=text(r".{1,30}"),
        q=text(r".{1,40}"),
        least=PRICE,
        most=PRICE,
        sort=one_of(*SORTED),
        **PAGE,
    )
    rows = Product.select(Product, Category).join(Category).where(Product.active)
    if "category" in wanted:
        rows = rows.where(Category.name == wanted["category"])
    if "tag" in wanted:
        tagged = ProductTag.select(ProductTag.product).join(Tag).where(Tag.name == wanted["tag"])
        rows = rows.where(Product.id.in_(tagged))
    if "q" in wanted:
        rows = rows.where(Product.name.contains(wanted["q"]))
    if "least" in wanted:
        rows = rows.where(Product.price_cents >= wanted["least"])
    if "most" in wanted:
        rows = rows.where(Product.price_cents <= wanted["most"])
    return page(rows.order_by(*SORTED[wanted.get("sort", "name")]), wanted, shown)


@blueprint.get("/<sku>")
def get_product(sku):
    product = found(sku)
    stars = Review.select(fn.AVG(Review.stars)).where(Review.product == product).scalar()
    tags = Tag.select().join(ProductTag).where(ProductTag.product == product).order_by(Tag.name)
    return {
        **shown(product),
        "description": product.description,
        "stars": float(stars) if stars is not None else None,
        "tags": [tag.name for tag in tags],
    }


@blueprint.post("")
@may("catalogue.write")
def add_product():
    values = columns(body(("sku", "name", "category", "price_cents"), **FIELDS))
    try:
        with database.atomic():
            product = Product.create(**values)
            note("product.create", product.sku)
    except IntegrityError:
        abort(409, f"there is a product {values['sku']}")
    return shown(product), 201


@blueprint.patch("/<sku>")
@may("catalogue.write")
def change_product(sku):
    product = found(sku)
    given = columns(body(**{name: FIELDS[name] for name in FIELDS if name != "sku"}))
    old_cents = product.price_cents
    for name, value in given.items():
        setattr(product, name, value)
    with database.atomic():
        product.save()
        if product.price_cents != old_cents:
            PriceChange.create(product=product, old_cents=old_cents, new_cents=product.price_cents)
        note("product.change", sku)
    return shown(product)


@blueprint.delete("/<sku>")
@may("catalogue.write")
def delete_product(sku):
    product = found(sku)
    if OrderLine.select().where(OrderLine.product == product).exists():
        abort(409, "this product has been ordered")
    with database.atomic():
        product.delete_instance()
        note("product.delete", sku)
    return "", 204


@blueprint.put("/<sku>/tags/<name>")
@may("catalogue.write")
def tag_product(sku, name):
    product = found(sku)
    tag, _ = Tag.get_or_create(name=name)
    _, is_new = ProductTag.get_or_create(product=product, tag=tag)
    return "", 201 if is_new else 204


def shown_review(review):
    return {
        "id": review.id,
        "author": review.author.username,
        "stars": review.stars,
        "text": review.text,
    }


@blueprint.get("/<sku>/reviews")
def list_reviews(sku):
    rows = Review.select(Review, User).join(User).where(Review.product == found(sku))
    return page(rows.order_by(Review.id), query(**PAGE), shown_review)


@blueprint.post("/<sku>/reviews")
@logged_in
def add_review(sku):
    product = found(sku)
    given = body(("stars",), stars=whole(1, 5), text=text(r"(?s).{0,1000}"))
    try:
        with database.atomic():
            review = Review.create(product=product, author=g.user, **given)
    except IntegrityError:
        abort(409, "you have reviewed this product")
    return shown_review(review), 201


@blueprint.delete("/<sku>/reviews/<int:number>")
@logged_in
def delete_review(sku, number):
    review = Review.get_or_none(Review.id == number, Review.product == found(sku))
    if review is None:
        abort(404, "there is no such review")
    if review.author != g.user and not allowed(g.user, "reviews.moderate"):
        abort(403, "this review is somebody else's")
    review.delete_instance()
    return "", 204
