"""What slipstream costs, beside what it replaces: rivals and ours in one run, interleaved.

Only ratios travel between machines; milliseconds are given to show what they are made from.
"""
