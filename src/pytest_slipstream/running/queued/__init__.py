"""A run whose tests come from the live queue, which other machines pull from as well."""
