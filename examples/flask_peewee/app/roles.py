"""The roles of the shop and what each may do: rows that the application cannot do without."""

from app.models import Permission, Role, RolePermission

ROLES = {
    "admin": (
        "users.read",
        "users.write",
        "catalogue.write",
        "stock.write",
        "orders.read",
        "orders.write",
        "reviews.moderate",
        "audit.read",
    ),
    "manager": (
        "users.read",
        "catalogue.write",
        "stock.write",
        "orders.read",
        "orders.write",
        "reviews.moderate",
    ),
    "clerk": ("stock.write", "orders.read"),
    "customer": (),
}


def add_roles():
    names = sorted({name for granted in ROLES.values() for name in granted})
    permissions = {name: Permission.create(name=name) for name in names}
    for role_name, granted in ROLES.items():
        role = Role.create(name=role_name)
        for name in granted:
            RolePermission.create(role=role, permission=permissions[name])
