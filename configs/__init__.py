"""Experiments: one file each, ``get_config(variant)``; ``base`` lists every key."""
