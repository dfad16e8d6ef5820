"""Which test runs where and when: pure decisions over plain values, made from what past runs took.

Nothing here knows pytest, a process or a database.
"""
