"""Nothing is left: `[tool.slipstream]` in `pyproject.toml` says which tables and rows there are."""
