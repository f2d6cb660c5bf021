"""What is trained how: one loop, and a folder for each task."""

# config.task: the package below this one with ``config.Config``, and its class in ``task``.
TASKS = {"classification": "Classification", "rdm": "RdmFineTuning", "stdp": "Stdp"}
