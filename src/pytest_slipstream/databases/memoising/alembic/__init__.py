"""Alembic's commands, replaced."""
