"""Which isolation strategy a test gets."""
