"""CI workflows that are written from the project's own configuration."""
