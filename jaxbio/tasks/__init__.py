"""What is trained how: one loop, and a folder for each task."""
