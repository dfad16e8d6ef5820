"""Projects, their members and their labels."""

from typing import Annotated

from fastapi import APIRouter, Depends, HTTPException
from sqlalchemy import Select, func, or_, select
from sqlalchemy.exc import IntegrityError
from sqlalchemy.ext.asyncio import AsyncSession

from app.access import Paged, Session, may, note
from app.models import Label, Project, User
from app.roles import SEES_EVERYTHING
from app.schemas import (
    LabelIn,
    LabelOut,
    Listing,
    Person,
    ProjectChange,
    ProjectIn,
    ProjectOut,
)

router = APIRouter()
Reader = Annotated[User, Depends(may("projects:read"))]
Writer = Annotated[User, Depends(may("projects:write"))]


@router.get("/projects", response_model=Listing[ProjectOut])
async def list_projects(
    user: Reader, session: Session, page: Paged, archived: bool = False
) -> dict[str, object]:
    query = visible_to(user).where(Project.archived == archived).order_by(Project.slug)
    total = await session.scalar(select(func.count()).select_from(query.subquery()))
    projects = await session.scalars(query.limit(page.limit).offset(page.offset))
    return {"total": total, "items": projects.unique().all()}


@router.post("/projects", status_code=201, response_model=ProjectOut)
async def create_project(new: ProjectIn, user: Writer, session: Session) -> Project:
    project = Project(**new.model_dump(), archived=False, owner=user)
    session.add(project)
    note(session, user, "project.create", new.slug)
    await commit(session, f"the slug {new.slug} is taken")
    return project


@router.get("/projects/{slug}", response_model=ProjectOut)
async def read_project(slug: str, user: Reader, session: Session) -> Project:
    return await project_for(user, slug, session)


@router.patch("/projects/{slug}", response_model=ProjectOut)
async def change_project(
    slug: str, change: ProjectChange, user: Writer, session: Session
) -> Project:
    project = await owned_project(user, slug, session)
    for field, value in change.model_dump(exclude_none=True).items():
        setattr(project, field, value)
    note(session, user, "project.change", slug)
    await session.commit()
    return project


@router.delete("/projects/{slug}", status_code=204)
async def delete_project(slug: str, user: Writer, session: Session) -> None:
    project = await owned_project(user, slug, session)
    note(session, user, "project.delete", slug)
    await session.delete(project)
    await session.commit()


@router.get("/projects/{slug}/members", response_model=list[Person])
async def list_members(slug: str, user: Reader, session: Session) -> list[User]:
    project = await project_for(user, slug, session)
    return await members_of(project, session)


@router.put("/projects/{slug}/members/{username}", response_model=list[Person])
async def add_member(slug: str, username: str, user: Writer, session: Session) -> list[User]:
    project = await owned_project(user, slug, session)
    await session.refresh(project, ["members"])
    newcomer = await session.scalar(select(User).where(User.username == username))
    if newcomer is None:
        raise HTTPException(404, f"no user is called {username}")
    if newcomer not in project.members:
        project.members.append(newcomer)
    await session.commit()
    return await members_of(project, session)


@router.delete("/projects/{slug}/members/{username}", status_code=204)
async def remove_member(slug: str, username: str, user: Writer, session: Session) -> None:
    project = await owned_project(user, slug, session)
    await session.refresh(project, ["members"])
    leaving = [member for member in project.members if member.username == username]
    if not leaving:
        raise HTTPException(404, f"{username} is not a member")
    project.members.remove(leaving[0])
    await session.commit()


@router.get("/projects/{slug}/labels", response_model=list[LabelOut])
async def list_labels(slug: str, user: Reader, session: Session) -> list[Label]:
    project = await project_for(user, slug, session)
    query = select(Label).where(Label.project_id == project.id).order_by(Label.name)
    return list(await session.scalars(query))


@router.post("/projects/{slug}/labels", status_code=201, response_model=LabelOut)
async def create_label(slug: str, new: LabelIn, user: Writer, session: Session) -> Label:
    project = await owned_project(user, slug, session)
    label = Label(project_id=project.id, **new.model_dump())
    session.add(label)
    await commit(session, f"{slug} has a label {new.name} already")
    return label


def visible_to(user: User) -> Select[tuple[Project]]:
    query = select(Project)
    if user.role.name == SEES_EVERYTHING:
        return query
    return query.where(or_(Project.owner_id == user.id, Project.members.any(User.id == user.id)))


async def project_for(user: User, slug: str, session: AsyncSession) -> Project:
    """The project, if the user may see it; otherwise it does not exist for them."""
    project = await session.scalar(visible_to(user).where(Project.slug == slug))
    if project is None:
        raise HTTPException(404, "no such project")
    return project


async def owned_project(user: User, slug: str, session: AsyncSession) -> Project:
    """The project, if the user owns it or is an administrator."""
    project = await project_for(user, slug, session)
    if project.owner_id != user.id and user.role.name != SEES_EVERYTHING:
        raise HTTPException(403, "only its owner changes a project")
    return project


async def members_of(project: Project, session: AsyncSession) -> list[User]:
    await session.refresh(project, ["members"])
    return project.members


async def commit(session: AsyncSession, problem: str) -> None:
    try:
        await session.commit()
    except IntegrityError as error:
        await session.rollback()
        raise HTTPException(409, problem) from error
