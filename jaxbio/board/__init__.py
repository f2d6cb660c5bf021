"""The board: every run of a folder as one local web page, and as static files.

``listing`` and ``columns`` read what runs write anyway; training knows nothing of it.
"""
