"""How tests are run."""
