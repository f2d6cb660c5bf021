"""What any run has: its directory, checkpoints, metrics, state, devices."""
