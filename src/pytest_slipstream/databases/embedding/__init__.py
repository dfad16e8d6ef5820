"""The suite's own server, as it is configured in the suite, moved to an embedded one.

docs/design/0016-the-suites-own-server.md says what is moved and what is not.
"""
