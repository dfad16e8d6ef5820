"""Dropping and making tables of PostgreSQL, by renaming their schema."""
