"""The products that every shop starts with."""

from sqlmodel import Session, create_engine

from shop.models import Product

PRODUCTS = [
    ("tea", "Green tea", 450, 100),
    ("cup", "Porcelain cup", 1290, 20),
    ("pot", "Cast iron pot", 5900, 5),
    ("tin", "Tin", 350, 40),
    ("spoon", "Bamboo spoon", 590, 1),
    ("whisk", "Whisk", 1990, 0),
]
DETAILS = {
    "tea": {"organic": True, "origin": {"country": "Japan"}},
    "cup": {"origin": {"country": "China"}},
    "pot": {"origin": {"country": "Japan"}},
}


def add_products(session: Session) -> None:
    """Add the whole catalogue; the caller commits."""
    session.add_all(
        Product(
            sku=sku, name=name, price_cents=price_cents, stock=stock, details=DETAILS.get(sku, {})
        )
        for sku, name, price_cents, stock in PRODUCTS
    )


def fill(url: str) -> None:
    """Fill the database at ``url``: the seed of the template."""
    engine = create_engine(url)
    with Session(engine) as session:
        add_products(session)
        session.commit()
    engine.dispose()
