from __future__ import annotations

import typer

db = typer.Typer()


@db.command("list")
def list_() -> None:
    """x"""
