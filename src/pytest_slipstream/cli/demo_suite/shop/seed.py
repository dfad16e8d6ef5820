"""The rows that the shop cannot live without."""

from __future__ import annotations

from sqlalchemy import create_engine
from sqlalchemy.orm import Session

from shop.models import Category, Country, Warehouse

TAX_PERCENT = {"DE": 19, "FR": 20, "GR": 24, "HU": 27, "LU": 17, "MT": 18}


def seed(url: str) -> None:
    """Fill the database at ``url`` with countries, categories and warehouses."""
    engine = create_engine(url)
    with Session(engine) as session:
        session.add_all(Country(code=code, tax_percent=tax) for code, tax in TAX_PERCENT.items())
        session.add_all(Category(name=name) for name in ("books", "tools", "toys"))
        session.add_all(Warehouse(city=city) for city in ("Berlin", "Lyon"))
        session.commit()
    engine.dispose()
