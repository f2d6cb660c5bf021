"""Task "rdm": networks that learn the geometry of neural data."""
