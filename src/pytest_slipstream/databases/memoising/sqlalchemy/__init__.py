"""SQLAlchemy's `create_all` and `drop_all`."""
