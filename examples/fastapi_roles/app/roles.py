"""What each role may do, and the rows that say so in the database."""

from sqlalchemy.ext.asyncio import AsyncSession

from app.models import Permission, Role

PERMISSIONS = {
    "admin": (
        "audit:read",
        "projects:read",
        "projects:write",
        "tasks:read",
        "tasks:write",
        "users:read",
        "users:write",
    ),
    "manager": ("projects:read", "projects:write", "tasks:read", "tasks:write", "users:read"),
    "member": ("projects:read", "tasks:read", "tasks:write"),
    "guest": ("projects:read", "tasks:read"),
}
SEES_EVERYTHING = "admin"


def add_roles(session: AsyncSession) -> None:
    """Add every role with its permissions; the caller commits."""
    names = sorted({name for granted in PERMISSIONS.values() for name in granted})
    permissions = {name: Permission(name=name) for name in names}
    session.add_all(
        Role(
            name=role,
            description=f"The {role} role.",
            permissions=[permissions[name] for name in granted],
        )
        for role, granted in PERMISSIONS.items()
    )
