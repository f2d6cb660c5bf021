"""What is measured of a trained model: a file each."""
