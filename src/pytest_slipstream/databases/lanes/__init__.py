"""Lanes: the engine configurations that the tests of one run are on."""
