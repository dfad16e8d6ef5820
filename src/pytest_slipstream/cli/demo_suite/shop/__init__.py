"""A small shop: the code under test of `slipstream demo`."""
