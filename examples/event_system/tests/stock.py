"""The rows that every test finds."""

from sqlalchemy import insert
from sqlalchemy.ext.asyncio import AsyncConnection, create_async_engine

from app.models import Article

ARTICLES = {"chair": 5, "table": 2, "lamp": 1}


async def fill(connection: AsyncConnection) -> None:
    """Put the articles into the stock."""
    rows = [{"name": name, "free": free} for name, free in ARTICLES.items()]
    await connection.execute(insert(Article), rows)


async def create(url: str) -> None:
    """Fill the database at ``url``: the seed of the template."""
    engine = create_async_engine(url)
    async with engine.begin() as connection:
        await fill(connection)
    await engine.dispose()
