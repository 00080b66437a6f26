"""The overfit check, and why a network may fail it."""
