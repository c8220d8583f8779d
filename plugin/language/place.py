"""Where the language process listens, and how it is started."""

from __future__ import annotations

from pathlib import Path

from plugin.kernel import embedded
from plugin.kernel.config import Settings

MODULE = "plugin.language"
"""What `python -m` runs."""

ONE_THREAD = {"OMP_NUM_THREADS": "1", "OPENBLAS_NUM_THREADS": "1", "MKL_NUM_THREADS": "1"}
"""Environment of whatever loads models: two pools of threads on the same processors make both slower."""


def socket_path(settings: Settings) -> Path:
    """The socket of this installation's language process on this machine."""
    return (
        Path(settings.language_socket)
        if settings.language_socket
        else embedded.run_dir(settings.data_dir) / "language.sock"
    )
