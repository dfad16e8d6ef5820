"""Clients for everybody, and a project to work in. Nothing here knows how a database is made."""

import pytest
from httpx import ASGITransport, AsyncClient
from sqlalchemy import select

from app.main import app
from app.models import Project, Task, User
from app.schemas import ProjectOut, TaskOut
from app.security import issue_token


def client_of(username):
    @pytest.fixture
    def client():
        headers = {"Authorization": f"Bearer {issue_token(username)}"} if username else {}
        return AsyncClient(transport=ASGITransport(app), base_url="http://tracker", headers=headers)

    return client


anonymous = client_of(None)
admin = client_of("ada")
manager = client_of("max")
member = client_of("mia")
other_member = client_of("moe")
guest = client_of("gus")


@pytest.fixture
def actors(anonymous, admin, manager, member, guest):
    return {
        "anonymous": anonymous,
        "admin": admin,
        "manager": manager,
        "member": member,
        "guest": guest,
    }


@pytest.fixture
async def ids(session):
    """User name to id."""
    rows = await session.execute(select(User.username, User.id))
    return {row.username: row.id for row in rows}


@pytest.fixture
async def project(session):
    """The manager's project, with one member and one guest."""
    people = {user.username: user for user in await session.scalars(select(User))}
    project = Project(
        slug="apollo",
        name="Apollo",
        owner=people["max"],
        members=[people["gus"], people["mia"]],
    )
    session.add(project)
    await session.commit()
    return ProjectOut.model_validate(project).model_dump(mode="json")


@pytest.fixture
async def task(session, project):
    """A task in the project, open and given to nobody."""
    task = Task(project_id=project["id"], title="Land softly", labels=[])
    session.add(task)
    await session.commit()
    return TaskOut.model_validate(task).model_dump(mode="json")
