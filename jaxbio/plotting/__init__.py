"""Figures: each function takes arrays and returns a matplotlib figure; none shows or saves it."""
