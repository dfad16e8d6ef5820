"""The application factory."""

import os

from fastapi import FastAPI

from shop import accounts, orders
from shop.database import make_engine


def create_app(url: str | None = None) -> FastAPI:
    """The shop on the database at ``url``, or at ``$DATABASE_URL``."""
    app = FastAPI(title="Shop")
    app.state.engine = make_engine(url or os.environ.get("DATABASE_URL", "sqlite:///shop.db"))
    app.include_router(accounts.router)
    app.include_router(orders.router)
    return app
