"""How often Hypothesis tries a property of one pure decision: as often, whatever the profile.

The profiles (``conftest.py``) say how many random programs are run; what a decision must hold shows
in far fewer draws, and CI would wait minutes for more.
"""

from __future__ import annotations

from hypothesis import settings

PROPERTY = settings(max_examples=200)
