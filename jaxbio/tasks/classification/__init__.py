"""Task "classification": networks that learn labels."""
