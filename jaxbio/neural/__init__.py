"""Neural recordings: one in-memory type, loaders of the published formats, a writer.

``open_recordings(path)`` recognises the format; ``synthetic_recordings()`` renders and simulates an
offline stand-in; ``write_recordings`` and ``read_portable`` are the library's own ``.npz`` and
``.h5`` files. ``jaxbio neural describe FILE`` says what a file holds, ``convert`` writes
it as a portable file. The formats and their keys are described in docs/neural.md.
"""

from jaxbio.neural.brainio import load_brainio
from jaxbio.neural.cadieu import load_cadieu
from jaxbio.neural.kriegeskorte import load_kriegeskorte
from jaxbio.neural.nwb import load_nwb
from jaxbio.neural.open import open_recordings
from jaxbio.neural.portable import read_portable, write_recordings
from jaxbio.neural.recordings import Recordings, StimulusSet
from jaxbio.neural.synthetic import synthetic_recordings
from jaxbio.neural.tables import load_table

__all__ = [
    "Recordings",
    "StimulusSet",
    "load_brainio",
    "load_cadieu",
    "load_kriegeskorte",
    "load_nwb",
    "load_table",
    "open_recordings",
    "read_portable",
    "synthetic_recordings",
    "write_recordings",
]
