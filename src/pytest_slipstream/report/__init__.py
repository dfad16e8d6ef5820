"""Renderings of the run record."""
