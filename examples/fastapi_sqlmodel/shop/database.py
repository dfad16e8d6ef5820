"""The engine, and the session of a request."""

from collections.abc import Iterator
from typing import Annotated

from fastapi import Depends, Request
from sqlalchemy import Engine, event
from sqlmodel import Session, create_engine


def make_engine(url: str) -> Engine:
    """An engine with foreign keys enforced, which SQLite does only when asked."""
    engine = create_engine(url)
    if engine.dialect.name == "sqlite":
        event.listen(
            engine, "connect", lambda connection, _: connection.execute("PRAGMA foreign_keys=ON")
        )
    return engine


def get_session(request: Request) -> Iterator[Session]:
    """FastAPI dependency: one session for a request."""
    with Session(request.app.state.engine) as session:
        yield session


SessionOfRequest = Annotated[Session, Depends(get_session)]
