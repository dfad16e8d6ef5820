"""What comes in and goes out."""

from datetime import date
from typing import Annotated, Generic, TypeVar

from pydantic import BaseModel, ConfigDict, Field

from app.models import Status

T = TypeVar("T")
Email = Annotated[str, Field(pattern=r"^[^@\s]+@[^@\s]+\.[^@\s]+$")]
Username = Annotated[str, Field(pattern=r"^[a-z][a-z0-9_]{2,19}$")]
Password = Annotated[str, Field(min_length=8, max_length=64)]
Title = Annotated[str, Field(min_length=1, max_length=80)]
Priority = Annotated[int, Field(ge=1, le=5)]


class Row(BaseModel):
    model_config = ConfigDict(from_attributes=True)


class Listing(BaseModel, Generic[T]):
    total: int
    items: list[T]


class Credentials(BaseModel):
    username: str
    password: str


class Token(BaseModel):
    token: str


class RoleOut(Row):
    name: str
    description: str


class UserOut(Row):
    id: int
    username: str
    email: str
    full_name: str
    active: bool
    role: RoleOut


class UserIn(BaseModel):
    username: Username
    email: Email
    password: Password
    full_name: str = ""
    role: str = "member"


class ProfileChange(BaseModel):
    email: Email | None = None
    full_name: str | None = None
    password: Password | None = None


class UserChange(ProfileChange):
    role: str | None = None
    active: bool | None = None


class ProjectIn(BaseModel):
    slug: Annotated[str, Field(pattern=r"^[a-z0-9-]{2,30}$")]
    name: Title
    description: str = ""


class ProjectChange(BaseModel):
    name: Title | None = None
    description: str | None = None
    archived: bool | None = None


class Person(Row):
    id: int
    username: str


class ProjectOut(Row):
    id: int
    slug: str
    name: str
    description: str
    archived: bool
    owner: Person


class LabelIn(BaseModel):
    name: Annotated[str, Field(min_length=1, max_length=20)]
    colour: Annotated[str, Field(pattern=r"^#[0-9a-f]{6}$")] = "#888888"


class LabelOut(Row):
    id: int
    name: str
    colour: str


class TaskIn(BaseModel):
    title: Title
    body: str = ""
    priority: Priority = 3
    due_on: date | None = None
    assignee: str | None = None


class TaskChange(BaseModel):
    title: Title | None = None
    body: str | None = None
    status: Status | None = None
    priority: Priority | None = None
    due_on: date | None = None


class TaskOut(Row):
    id: int
    title: str
    body: str
    status: Status
    priority: int
    due_on: date | None
    assignee: Person | None
    labels: list[LabelOut]


class CommentIn(BaseModel):
    body: Annotated[str, Field(min_length=1, max_length=500)]


class CommentOut(Row):
    id: int
    body: str
    author: Person


class AuditOut(Row):
    action: str
    subject: str
    actor_id: int | None
