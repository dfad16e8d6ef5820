"""Password hashing at its least cost while tests run.

One small file for each library. The invariant: what is made is a genuine hash of its kind, which
the library verifies; hashes from elsewhere verify as ever; and to the library's own question
whether a hash needs to be made anew, one from here answers as if it had the cost that was asked
for.
"""
