"""Schema work of a suite that is left as it is: done once, and afterwards restored.

docs/design/0009-memoised-schema-work.md says what is known of an operation, and when it is not.
"""
