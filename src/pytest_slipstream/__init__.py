"""A clean, real database for every test, at the price of a rollback."""

__version__ = "0.1.0.dev0"

__all__ = ["__version__"]
