"""What a request's body and query may hold: anything else is answered with 422."""

import re

from flask import abort, request


def text(pattern):
    def read(value):
        if not isinstance(value, str) or not re.fullmatch(pattern, value):
            raise ValueError(f"must match {pattern}")
        return value

    return read


def whole(least, most):
    def read(value):
        if isinstance(value, str) and re.fullmatch(r"-?\d{1,9}", value):
            value = int(value)
        if isinstance(value, bool) or not isinstance(value, int) or not least <= value <= most:
            raise ValueError(f"must be a whole number from {least} to {most}")
        return value

    return read


def yes_or_no(value):
    if not isinstance(value, bool):
        raise ValueError("must be true or false")  # noqa: TRY004 - as all readers
    return value


def one_of(*choices):
    def read(value):
        if value not in choices:
            raise ValueError(f"must be one of {', '.join(choices)}")
        return value

    return read


def body(required=(), **readers):
    """The fields of a JSON object."""
    given = request.get_json(silent=True)
    if not isinstance(given, dict):
        abort(422, "a JSON object is needed")
    missing = sorted(set(required) - set(given))
    if missing:
        abort(422, f"{missing[0]} is missing")
    return read_all(given, readers)


def query(**readers):
    return read_all(request.args, readers)


def read_all(given, readers):
    unknown = sorted(set(given) - set(readers))
    if unknown:
        abort(422, f"{unknown[0]} is not known")
    values = {}
    for name, value in given.items():
        try:
            values[name] = readers[name](value)
        except ValueError as error:
            abort(422, f"{name} {error}")
    return values


PAGE = {"limit": whole(1, 50), "offset": whole(0, 10**6)}


def page(rows, wanted, render):
    """A slice of a query, with the number of all its rows."""
    total = rows.count()
    rows = rows.limit(wanted.get("limit", 10)).offset(wanted.get("offset", 0))
    return {"items": [render(row) for row in rows], "total": total}
