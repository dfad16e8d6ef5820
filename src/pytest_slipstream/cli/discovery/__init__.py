"""What ``slipstream init`` learns about a project by reading it.

The invariant: the project's code is parsed and never imported or run; every finding says where it
stands.
"""
