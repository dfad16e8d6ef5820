"""The thirty tables of the tracker; the routes of this example use the twelve of `core`."""

from app.models import messaging, planning
from app.models.core import (
    AuditEntry,
    Base,
    Comment,
    Label,
    Permission,
    Project,
    Role,
    Status,
    Task,
    User,
)

__all__ = [
    "AuditEntry",
    "Base",
    "Comment",
    "Label",
    "Permission",
    "Project",
    "Role",
    "Status",
    "Task",
    "User",
    "messaging",
    "planning",
]
