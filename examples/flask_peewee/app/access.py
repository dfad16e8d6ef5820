"""Who asks, and what they may do."""

from functools import wraps

from flask import abort, g, request

from app.models import AuditEntry, Permission, Role, RolePermission, User
from app.security import read_token


def current_user():
    """The active user whose token came with the request."""
    scheme, _, token = request.headers.get("Authorization", "").partition(" ")
    username = read_token(token) if scheme == "Bearer" else None
    if username is None:
        abort(401, "a valid bearer token is needed")
    user = User.select(User, Role).join(Role).where(User.username == username).get_or_none()
    if user is None or not user.active:
        abort(401, "this account is not active")
    return user


def allowed(user, permission):
    granted = RolePermission.select().join(Permission)
    return granted.where(RolePermission.role == user.role, Permission.name == permission).exists()


def logged_in(view):
    @wraps(view)
    def checked(*args, **kwargs):
        g.user = current_user()
        return view(*args, **kwargs)

    return checked


def may(permission):
    """Let only those in whose role has ``permission``."""

    def decorate(view):
        @logged_in
        @wraps(view)
        def checked(*args, **kwargs):
            if not allowed(g.user, permission):
                abort(403, f"the role {g.user.role.name} lacks {permission}")
            return view(*args, **kwargs)

        return checked

    return decorate


def note(action, subject):
    AuditEntry.create(actor=g.user, action=action, subject=subject)
