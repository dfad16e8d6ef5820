"""Tortoise's `generate_schemas`, and the databases of its test initialisers."""
