"""Measuring a suite, and comparing two measurements: what was seen, and what may be claimed."""
