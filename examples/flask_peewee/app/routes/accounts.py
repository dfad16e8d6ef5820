"""Logging in, and one's own account."""

from flask import Blueprint, abort, g

from app.access import logged_in, note
from app.database import database
from app.inputs import body, text
from app.models import Address, LoginAttempt, User
from app.routes.users import shown as shown_user
from app.security import hash_password, issue_token, password_matches

blueprint = Blueprint("accounts", __name__)
ATTEMPTS = 5
PASSWORD = text(r".{8,64}")
EMAIL = text(r"[^@\s]{1,60}@[^@\s]{1,50}\.[a-z]{2,8}")


@blueprint.post("/token")
def log_in():
    given = body(("username", "password"), username=text(r".{1,40}"), password=text(r".{1,64}"))
    user = User.get_or_none(User.username == given["username"])
    if user is None or not user.active:
        abort(401, "the user name or the password is wrong")
    if failures_in_a_row(user) >= ATTEMPTS:
        abort(429, "too many attempts")
    succeeded = password_matches(given["password"], user.password_hash)
    LoginAttempt.create(user=user, succeeded=succeeded)
    if not succeeded:
        abort(401, "the user name or the password is wrong")
    return {"token": issue_token(user.username)}


def failures_in_a_row(user):
    latest = user.attempts.order_by(LoginAttempt.id.desc()).limit(ATTEMPTS)
    outcomes = [attempt.succeeded for attempt in latest]
    return 0 if any(outcomes) else len(outcomes)


@blueprint.get("/me")
@logged_in
def me():
    return shown_user(g.user)


@blueprint.patch("/me")
@logged_in
def change_me():
    given = body(full_name=text(r".{0,80}"), email=EMAIL)
    taken = User.select().where(User.email == given.get("email"), User.id != g.user.id)
    if "email" in given and taken.exists():
        abort(409, "this address is taken")
    for name, value in given.items():
        setattr(g.user, name, value)
    g.user.save()
    return shown_user(g.user)


@blueprint.post("/me/password")
@logged_in
def change_password():
    given = body(("old", "new"), old=text(r".{1,64}"), new=PASSWORD)
    if not password_matches(given["old"], g.user.password_hash):
        abort(403, "the old password is wrong")
    with database.atomic():
        g.user.password_hash = hash_password(given["new"])
        g.user.save()
        note("password.change", g.user.username)
    return "", 204


@blueprint.get("/me/addresses")
@logged_in
def addresses():
    return {"items": [shown(each) for each in g.user.addresses.order_by(Address.id)]}


@blueprint.post("/me/addresses")
@logged_in
def add_address():
    given = body(
        ("street", "city", "country"),
        street=text(r".{1,80}"),
        city=text(r".{1,60}"),
        country=text(r"[A-Z]{2}"),
    )
    return shown(Address.create(user=g.user, **given)), 201


@blueprint.delete("/me/addresses/<int:number>")
@logged_in
def delete_address(number):
    address = g.user.addresses.where(Address.id == number).get_or_none()
    if address is None:
        abort(404, "you have no such address")
    address.delete_instance()
    return "", 204


def shown(address):
    return {
        "id": address.id,
        "street": address.street,
        "city": address.city,
        "country": address.country,
    }
