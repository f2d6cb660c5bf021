"""Pure array functions: no flax, no state."""
