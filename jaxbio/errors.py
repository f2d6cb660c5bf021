"""The error that wrong input by a user raises."""


class InputError(ValueError):
    """Wrong input: one line that names the key, file or value, and the remedy.

    The commands print the message alone and exit with code 2; in a program it is a ``ValueError``.
    """
