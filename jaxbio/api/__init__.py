"""The front door for programs and notebooks; its names are those of the package.

``jaxbio.train``, ``jaxbio.open_run``, ``jaxbio.load_model`` and ``jaxbio.rsa``: see docs/python.md.
"""
