"""The application factory."""

import os

from flask import Flask, jsonify
from playhouse.db_url import connect
from werkzeug.exceptions import HTTPException

from app.database import database
from app.routes import accounts, audit, orders, products, stock, users


def create_app():
    database.initialize(connect(os.environ.get("DATABASE_URL", "postgresql+pool://localhost/shop")))
    app = Flask(__name__)
    app.before_request(open_connection)
    app.teardown_request(close_connection)
    app.register_error_handler(HTTPException, refuse)
    for routes in (accounts, users, products, stock, orders, audit):
        app.register_blueprint(routes.blueprint)
    return app


def open_connection():
    database.connect(reuse_if_open=True)


def close_connection(error):
    if not database.is_closed():
        database.close()


def refuse(error):
    return jsonify(error=error.description), error.code
