"""Many trainings side by side, and what may be concluded from them."""
