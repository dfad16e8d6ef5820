"""What every test finds: roles, a person or more for each, a small catalogue and its stock."""

from playhouse.db_url import connect

from app.models import (
    MODELS,
    Category,
    Coupon,
    Product,
    Role,
    StockLevel,
    User,
    Warehouse,
)
from app.roles import add_roles
from app.security import hash_password

PASSWORD = "correct horse"
PEOPLE = {
    "ada": "admin",
    "max": "manager",
    "cleo": "clerk",
    "cora": "customer",
    "carl": "customer",
    "ida": "customer",
}
LEFT = "ida"
CATEGORIES = ("Books", "Games", "Tea")
PRODUCTS = {
    "BK-1": ("A tale of two cities", "Books", 900),
    "BK-2": ("The time machine", "Books", 700),
    "BK-3": ("Middlemarch", "Books", 1200),
    "GM-1": ("Go, nineteen by nineteen", "Games", 4900),
    "GM-2": ("Chess", "Games", 3900),
    "TE-1": ("Assam", "Tea", 700),
    "TE-2": ("Green tea", "Tea", 1100),
}
STOCK = 10


def fill():
    """Add everything to the database that the models are bound to."""
    add_roles()
    roles = {role.name: role for role in Role.select()}
    for username, role in PEOPLE.items():
        User.create(
            username=username,
            email=f"{username}@example.org",
            full_name=username.title(),
            password_hash=hash_password(PASSWORD),
            active=username != LEFT,
            role=roles[role],
        )
    categories = {name: Category.create(name=name) for name in CATEGORIES}
    main = Warehouse.create(code="MAIN", name="Main")
    Warehouse.create(code="NORTH", name="North")
    for sku, (name, category, price_cents) in PRODUCTS.items():
        product = Product.create(
            sku=sku, name=name, category=categories[category], price_cents=price_cents
        )
        StockLevel.create(warehouse=main, product=product, amount=STOCK)
    Coupon.create(code="TEN", percent=10, uses_left=2)


def create(url):
    """Fill the database at ``url``: the seed of the template."""
    with connect(url).bind_ctx(MODELS):
        fill()
