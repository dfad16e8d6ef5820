"""Warm workers: processes that run the tests which one parent has collected, and pull them from it.

The parent never runs a test, so that a worker forked late is like those forked first.
"""
