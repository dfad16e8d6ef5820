"""What CI machines left, joined: run records, JUnit files, duration histories, coverage data."""
