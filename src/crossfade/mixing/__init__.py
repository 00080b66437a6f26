"""Drawing plans: who is mixed with whom, where, and how much each label weighs. NumPy only."""
