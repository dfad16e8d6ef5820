"""Who asks, and what they may do: FastAPI dependencies."""

from collections.abc import Awaitable, Callable
from typing import Annotated, NamedTuple

from fastapi import Depends, Header, HTTPException, Query
from sqlalchemy import select
from sqlalchemy.ext.asyncio import AsyncSession
from sqlalchemy.orm import selectinload

from app.database import get_session
from app.models import AuditEntry, Role, User
from app.security import read_token

Session = Annotated[AsyncSession, Depends(get_session)]


class Page(NamedTuple):
    """The slice of a list that a request asks for."""

    limit: int
    offset: int


async def wanted_page(
    limit: Annotated[int, Query(ge=1, le=50)] = 10, offset: Annotated[int, Query(ge=0)] = 0
) -> Page:
    return Page(limit, offset)


Paged = Annotated[Page, Depends(wanted_page)]


async def current_user(
    session: Session, authorization: Annotated[str | None, Header()] = None
) -> User:
    """The active user whose token came with the request."""
    scheme, _, token = (authorization or "").partition(" ")
    username = read_token(token) if scheme == "Bearer" else None
    if username is None:
        raise HTTPException(401, "a valid bearer token is needed")
    found = await session.execute(
        select(User)
        .where(User.username == username)
        .options(selectinload(User.role, Role.permissions))
    )
    user = found.scalar_one_or_none()
    if user is None or not user.active:
        raise HTTPException(401, "this account is not active")
    return user


CurrentUser = Annotated[User, Depends(current_user)]


def may(permission: str) -> Callable[[User], Awaitable[User]]:
    """A dependency: the current user, if their role has ``permission``."""

    async def check(user: CurrentUser) -> User:
        if permission not in {granted.name for granted in user.role.permissions}:
            raise HTTPException(403, f"the role {user.role.name} lacks {permission}")
        return user

    return check


def note(session: AsyncSession, actor: User, action: str, subject: str) -> None:
    """Add an audit entry to the caller's transaction."""
    session.add(AuditEntry(actor_id=actor.id, action=action, subject=subject))
