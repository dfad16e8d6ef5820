"""Where the seconds of a run go, measured while it runs and written to the run record."""
