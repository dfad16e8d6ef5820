"""The command ``slipstream``."""


def main() -> None:
    """Entry point."""
