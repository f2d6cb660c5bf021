"""The front door for programs and notebooks; its names are those of the package.

``jaxbio.train``, ``open_run``, ``load_model``, ``wrap``, ``rsa`` and ``score``: see docs/python.md.
"""
