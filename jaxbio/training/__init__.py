"""Training: state, losses, optimisers, steps, the loop, checkpoints."""
