"""Everything that knows a database: servers, templates, slots, isolation."""
