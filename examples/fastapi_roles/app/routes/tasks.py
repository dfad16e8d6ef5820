"""Tasks, the labels on them and the comments under them."""

from typing import Annotated

from fastapi import APIRouter, Depends, HTTPException
from sqlalchemy import func, select
from sqlalchemy.ext.asyncio import AsyncSession

from app.access import Paged, Session, may, note
from app.models import Comment, Label, Project, Status, Task, User
from app.routes.projects import project_for, visible_to
from app.schemas import CommentIn, CommentOut, Listing, TaskChange, TaskIn, TaskOut

router = APIRouter()
Reader = Annotated[User, Depends(may("tasks:read"))]
Writer = Annotated[User, Depends(may("tasks:write"))]


@router.get("/projects/{slug}/tasks", response_model=Listing[TaskOut])
async def list_tasks(
    slug: str,
    user: Reader,
    session: Session,
    page: Paged,
    status: Status | None = None,
    assignee: str | None = None,
) -> dict[str, object]:
    project = await project_for(user, slug, session)
    query = select(Task).where(Task.project_id == project.id)
    if status is not None:
        query = query.where(Task.status == status)
    if assignee is not None:
        query = query.where(Task.assignee.has(User.username == assignee))
    total = await session.scalar(select(func.count()).select_from(query.subquery()))
    query = query.order_by(Task.priority.desc(), Task.id)
    tasks = await session.scalars(query.limit(page.limit).offset(page.offset))
    return {"total": total, "items": tasks.all()}


@router.post("/projects/{slug}/tasks", status_code=201, response_model=TaskOut)
async def create_task(slug: str, new: TaskIn, user: Writer, session: Session) -> Task:
    project = await project_for(user, slug, session)
    if project.archived:
        raise HTTPException(409, "an archived project takes no tasks")
    task = Task(
        project_id=project.id,
        assignee=await assignable(new.assignee, session),
        status=Status.OPEN,
        labels=[],
        **new.model_dump(exclude={"assignee"}),
    )
    session.add(task)
    note(session, user, "task.create", f"{slug}: {new.title}")
    await session.commit()
    return task


@router.get("/tasks/{task_id}", response_model=TaskOut)
async def read_task(task_id: int, user: Reader, session: Session) -> Task:
    return await task_for(user, task_id, session)


@router.patch("/tasks/{task_id}", response_model=TaskOut)
async def change_task(task_id: int, change: TaskChange, user: Writer, session: Session) -> Task:
    task = await task_for(user, task_id, session)
    for field, value in change.model_dump(exclude_none=True).items():
        setattr(task, field, value)
    await session.commit()
    return task


@router.put("/tasks/{task_id}/assignee/{username}", response_model=TaskOut)
async def assign_task(task_id: int, username: str, user: Writer, session: Session) -> Task:
    task = await task_for(user, task_id, session)
    task.assignee = await assignable(username, session)
    note(session, user, "task.assign", f"{task.title}: {username}")
    await session.commit()
    return task


@router.delete("/tasks/{task_id}", status_code=204)
async def delete_task(task_id: int, user: Writer, session: Session) -> None:
    task = await task_for(user, task_id, session)
    note(session, user, "task.delete", task.title)
    await session.delete(task)
    await session.commit()


@router.put("/tasks/{task_id}/labels/{name}", response_model=TaskOut)
async def put_label(task_id: int, name: str, user: Writer, session: Session) -> Task:
    task = await task_for(user, task_id, session)
    query = select(Label).where(Label.project_id == task.project_id, Label.name == name)
    label = await session.scalar(query)
    if label is None:
        raise HTTPException(404, f"the project has no label {name}")
    if label not in task.labels:
        task.labels.append(label)
    await session.commit()
    await session.refresh(task, ["labels"])
    return task


@router.get("/tasks/{task_id}/comments", response_model=Listing[CommentOut])
async def list_comments(
    task_id: int, user: Reader, session: Session, page: Paged
) -> dict[str, object]:
    task = await task_for(user, task_id, session)
    query = select(Comment).where(Comment.task_id == task.id).order_by(Comment.id)
    total = await session.scalar(select(func.count()).select_from(query.subquery()))
    comments = await session.scalars(query.limit(page.limit).offset(page.offset))
    return {"total": total, "items": comments.all()}


@router.post("/tasks/{task_id}/comments", status_code=201, response_model=CommentOut)
async def add_comment(task_id: int, new: CommentIn, user: Writer, session: Session) -> Comment:
    task = await task_for(user, task_id, session)
    comment = Comment(task_id=task.id, author=user, body=new.body)
    session.add(comment)
    await session.commit()
    return comment


async def task_for(user: User, task_id: int, session: AsyncSession) -> Task:
    """The task, if it is in a project that the user may see."""
    projects = visible_to(user).with_only_columns(Project.id)
    query = select(Task).where(Task.id == task_id, Task.project_id.in_(projects))
    task = await session.scalar(query)
    if task is None:
        raise HTTPException(404, "no such task")
    return task


async def assignable(username: str | None, session: AsyncSession) -> User | None:
    if username is None:
        return None
    user = await session.scalar(select(User).where(User.username == username))
    if user is None or not user.active:
        raise HTTPException(422, f"{username} takes no tasks")
    return user
