"""Measurements of a trained model: each a function of a model, its variables and data."""
