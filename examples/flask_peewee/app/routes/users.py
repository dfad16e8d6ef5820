"""People, for those who look after them."""

from flask import Blueprint, abort, g
from peewee import IntegrityError

from app.access import may, note
from app.database import database
from app.inputs import PAGE, body, page, query, text, yes_or_no
from app.models import Order, Role, User
from app.security import hash_password

blueprint = Blueprint("users", __name__, url_prefix="/users")
FIELDS = {
    "username": text(r"[a-z][a-z0-9_]{2,19}"),
    "email": text(r"[^@\s]{1,60}@[^@\s]{1,50}\.[a-z]{2,8}"),
    "full_name": text(r".{0,80}"),
    "password": text(r".{8,64}"),
    "role": text(r"[a-z]{1,20}"),
    "active": yes_or_no,
}


def shown(user):
    return {
        "id": user.id,
        "username": user.username,
        "email": user.email,
        "full_name": user.full_name,
        "active": user.active,
        "role": user.role.name,
    }


def found(number):
    user = User.get_or_none(User.id == number)
    return user or abort(404, f"there is no user {number}")


def columns(given):
    """The fields of a request as columns."""
    values = {name: value for name, value in given.items() if name not in ("password", "role")}
    if "password" in given:
        values["password_hash"] = hash_password(given["password"])
    if "role" in given:
        role = Role.get_or_none(Role.name == given["role"])
        values["role"] = role or abort(422, f"there is no role {given['role']}")
    return values


@blueprint.get("")
@may("users.read")
def list_users():
    wanted = query(role=text(r"[a-z]{1,20}"), **PAGE)
    rows = User.select(User, Role).join(Role).order_by(User.username)
    if "role" in wanted:
        rows = rows.where(Role.name == wanted["role"])
    return page(rows, wanted, shown)


@blueprint.post("")
@may("users.write")
def add_user():
    given = {"role": "customer", **body(("username", "email", "password"), **FIELDS)}
    values = columns(given)
    try:
        with database.atomic():
            user = User.create(**values)
            note("user.create", user.username)
    except IntegrityError:
        abort(409, "the user name or the address is taken")
    return shown(user), 201


@blueprint.get("/<int:number>")
@may("users.read")
def get_user(number):
    return shown(found(number))


@blueprint.patch("/<int:number>")
@may("users.write")
def change_user(number):
    user = found(number)
    for name, value in columns(body(**FIELDS)).items():
        setattr(user, name, value)
    try:
        with database.atomic():
            user.save()
            note("user.change", user.username)
    except IntegrityError:
        abort(409, "the user name or the address is taken")
    return shown(user)


@blueprint.delete("/<int:number>")
@may("users.write")
def delete_user(number):
    user = found(number)
    if user == g.user:
        abort(409, "nobody deletes themselves")
    if Order.select().where(Order.customer == user).exists():
        abort(409, "this user has orders")
    with database.atomic():
        user.delete_instance()
        note("user.delete", user.username)
    return "", 204
