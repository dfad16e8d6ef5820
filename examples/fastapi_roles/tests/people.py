"""The people of the tests: one for each role, a second member, and one who has left."""

from sqlalchemy import select
from sqlalchemy.ext.asyncio import AsyncSession, create_async_engine

from app.models import Role, User
from app.roles import add_roles
from app.security import hash_password

PASSWORD = "correct horse"
PEOPLE = {
    "ada": "admin",
    "max": "manager",
    "mia": "member",
    "moe": "member",
    "gus": "guest",
    "ida": "member",
}
LEFT = "ida"


async def add_people(session: AsyncSession) -> None:
    """Add everybody; the roles are there already, and the caller commits."""
    roles = {role.name: role for role in await session.scalars(select(Role))}
    session.add_all(
        User(
            username=username,
            email=f"{username}@example.org",
            full_name=username.title(),
            password_hash=hash_password(PASSWORD),
            active=username != LEFT,
            role=roles[role],
        )
        for username, role in PEOPLE.items()
    )


async def create(url: str) -> None:
    """Fill the database at ``url``: the seed of the template."""
    engine = create_async_engine(url)
    async with AsyncSession(engine) as session:
        add_roles(session)
        await session.flush()
        await add_people(session)
        await session.commit()
    await engine.dispose()
