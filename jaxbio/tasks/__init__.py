"""What is trained how: one loop, and a folder for each task."""

# config.task: the package below this one with ``config.Config`` and ``task``.
TASKS = ("classification", "rdm", "stdp")
