"""The ``imagecorruptions`` package as a second opinion: seeded, on current libraries.

Release 1.1.2, the one on the package index, needs ``pkg_resources``, crashes in ``glass_blur``,
``gaussian_blur`` and ``fog`` on current NumPy and scikit-image, and draws from NumPy's global
generator. Nothing of it is copied or changed on disk: names inside the imported module are replaced
by thin stand-ins, which also hand every random draw to a generator seeded per image.
"""

import contextvars
import functools
import importlib
import importlib.util
import multiprocessing
import os
import sys
import types
import warnings
import zlib
from collections.abc import Iterator, Sequence
from concurrent.futures import ProcessPoolExecutor
from contextlib import contextmanager
from itertools import repeat
from typing import Any, cast

import numpy as np

from jaxbio.corruptions.names import check_name, check_severity

MIN_SIZE = 32

# The generator of the image at hand. A context variable, so that threads do not share it.
_generator: contextvars.ContextVar[np.random.RandomState] = contextvars.ContextVar("generator")


class _Proxy(types.ModuleType):
    """A module with some attributes replaced; everything else comes from the original."""

    def __init__(self, original: Any, **replaced: Any):
        super().__init__(original.__name__)
        self.__dict__.update(replaced)
        self.__dict__["_original"] = original

    def __getattr__(self, name: str) -> Any:
        return getattr(self.__dict__["_original"], name)


class _SeededRandom:
    """Stands for ``numpy.random``: every function is that of the current image's generator."""

    def __getattr__(self, name: str) -> Any:
        return getattr(_generator.get(), name)


def _gaussian(image, *args, multichannel: bool = False, **kwargs):
    """``skimage.filters.gaussian`` with the argument that scikit-image 0.19 renamed."""
    from skimage.filters import gaussian

    return gaussian(image, *args, channel_axis=-1 if multichannel else None, **kwargs)


def _random_noise(image, *args, **kwargs):
    """``skimage.util.random_noise`` drawing from the current image's generator."""
    from skimage.util import random_noise

    seed = _generator.get().randint(0, 2**31, size=4)
    return random_noise(image, *args, rng=np.random.default_rng(seed), **kwargs)


@contextmanager
def _stand_in_modules() -> Iterator[None]:
    """Provides, during the import only, the modules that current libraries have dropped."""
    from scipy.ndimage import map_coordinates

    def resource_filename(package: str, name: str) -> str:
        return os.path.join(os.path.dirname(cast(str, sys.modules[package].__file__)), name)

    stand_ins = {
        "pkg_resources": {"resource_filename": resource_filename},
        "scipy.ndimage.interpolation": {"map_coordinates": map_coordinates},
    }
    added = []
    for name, members in stand_ins.items():
        if name in sys.modules or importlib.util.find_spec(name) is not None:
            continue
        module = types.ModuleType(name)
        module.__dict__.update(members)
        sys.modules[name] = module
        added.append(name)
    try:
        yield
    finally:
        for name in added:
            del sys.modules[name]


@functools.cache
def _package() -> types.ModuleType:
    """Imports ``imagecorruptions`` and puts the stand-ins into its namespace."""
    if importlib.util.find_spec("imagecorruptions") is None:
        raise ModuleNotFoundError(
            "imagecorruptions is not installed; install it with "
            "`pip install imagecorruptions==1.1.2 scikit-image opencv-python-headless`"
        )
    with warnings.catch_warnings():  # the package installs filters of its own when imported
        warnings.simplefilter("ignore")
        with _stand_in_modules():
            package = importlib.import_module("imagecorruptions")
            module: Any = importlib.import_module("imagecorruptions.corruptions")
    util = _Proxy(module.sk.util, random_noise=_random_noise)
    module.np = _Proxy(np, random=_SeededRandom(), float_=np.float64)
    module.sk = _Proxy(module.sk, util=util)
    module.gaussian = _gaussian
    for name, member in list(vars(module).items()):
        # A Numba function draws from a generator of its own that cannot be saved and restored.
        if hasattr(member, "py_func"):
            setattr(module, name, member.py_func)
    return package


def corrupt_reference(
    image: np.ndarray, name: str, severity: int, seed: int | Sequence[int]
) -> np.ndarray:
    """One corruption of one image by ``imagecorruptions``, as a pure function of its arguments.

    NumPy's global generator is neither read nor changed.

    Args:
        image: ``[H, W, 3]``, ``[H, W, 1]`` or ``[H, W]`` uint8, at least 32 by 32.
        name: one of ``corruption_names("all")``.
        severity: 1 to 5.
        seed: non-negative integer, or several (such as run seed and example index).

    Returns:
        ``[H, W, 3]`` uint8; grey images come back with the shape they had.

    Raises:
        ModuleNotFoundError: the package is not installed.
        ValueError: unknown name or severity, wrong shape or dtype, or less than 32 px.

    Reference:
        Michaelis et al. 2019, Benchmarking Robustness in Object Detection (imagecorruptions).
    """
    check_name(name)
    check_severity(severity)
    image = np.asarray(image)
    if image.dtype != np.uint8:
        raise ValueError(f"image has dtype {image.dtype}; the reference takes uint8 in 0..255")
    if image.ndim not in (2, 3) or (image.ndim == 3 and image.shape[-1] not in (1, 3)):
        raise ValueError(f"image has shape {image.shape}; expected [H, W, 3], [H, W, 1] or [H, W]")
    if min(image.shape[:2]) < MIN_SIZE:
        raise ValueError(f"image is {image.shape[0]}x{image.shape[1]}; at least {MIN_SIZE} px")
    package = _package()
    seeds = [seed] if isinstance(seed, (int, np.integer)) else list(seed)
    entropy = [*(int(s) for s in seeds), zlib.crc32(name.encode()), int(severity)]
    bits = np.random.MT19937(np.random.SeedSequence(entropy))
    token = _generator.set(np.random.RandomState(bits))
    colour = np.ascontiguousarray(
        np.broadcast_to(image.reshape(*image.shape[:2], -1), (*image.shape[:2], 3))
    )
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")  # those of the package, on libraries newer than itself
            out = package.corrupt(colour, corruption_name=name, severity=int(severity))
    finally:
        _generator.reset(token)
    out = np.asarray(out, np.uint8)
    if image.ndim == 3 and image.shape[-1] == 3:
        return out
    if name.endswith("noise"):  # the mean of three independent fields would be weaker noise
        return out[..., 0].reshape(image.shape)
    return np.round(out.mean(-1)).astype(np.uint8).reshape(image.shape)


def _worker_init() -> None:
    """Loads the package once per process; the processes are the parallelism, not OpenCV."""
    _package()
    import cv2

    cv2.setNumThreads(1)


class ReferenceCorruptor:
    """``corrupt_reference`` over lists of images, on a pool of processes.

    Every image is seeded by ``(seed, index)``, so the result depends neither on the number of
    workers nor on how images are batched. Used as a context manager it stops its processes.

        with ReferenceCorruptor("fog", 3, seed=0) as corruptor:
            corrupted = corruptor(images, indices)

    Args:
        name: one of ``corruption_names("all")``.
        severity: 1 to 5.
        seed: non-negative run seed.
        workers: processes; 0 means one per core, 1 works in this process.
    """

    def __init__(self, name: str, severity: int, seed: int, workers: int = 0):
        check_name(name)
        check_severity(severity)
        if workers < 0:
            raise ValueError(f"workers={workers}: give 0 (one per core) or a positive number")
        self.name, self.severity, self.seed = name, severity, seed
        self.workers = workers or os.cpu_count() or 1
        self._pool: ProcessPoolExecutor | None = None
        _package()  # a missing package is reported here rather than from a worker

    def __call__(self, images: Sequence[np.ndarray], indices: Sequence[int]) -> list[np.ndarray]:
        """Corrupts ``images``; ``indices`` are the examples' numbers in the data set."""
        if len(images) != len(indices):
            raise ValueError(f"{len(images)} images but {len(indices)} indices")
        seeds = [(self.seed, int(index)) for index in indices]
        jobs: Any = map(np.asarray, images), repeat(self.name), repeat(self.severity), seeds
        if self.workers == 1:
            return list(map(corrupt_reference, *jobs))
        if self._pool is None:  # spawn: a forked JAX process may deadlock
            self._pool = ProcessPoolExecutor(
                self.workers, multiprocessing.get_context("spawn"), initializer=_worker_init
            )
        chunk = max(1, len(images) // (4 * self.workers))
        return list(self._pool.map(corrupt_reference, *jobs, chunksize=chunk))

    def close(self) -> None:
        """Stops the worker processes; the next call would start new ones."""
        if self._pool is not None:
            self._pool.shutdown(cancel_futures=True)
            self._pool = None

    def __enter__(self) -> "ReferenceCorruptor":
        return self

    def __exit__(self, *exception: object) -> None:
        self.close()
