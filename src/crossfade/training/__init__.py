"""Training a network: schedules, metrics, checkpoints, and the loop that uses them."""
