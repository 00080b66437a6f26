"""The search for method and rates: what is searched, its memory, the search itself, and what it found in words."""
