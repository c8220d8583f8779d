"""Where the language process listens, and how it is started."""

from __future__ import annotations

from pathlib import Path

from plugin.kernel import embedded
from plugin.kernel.config import Settings

MODULE = "plugin.language"
"""What `python -m` runs."""

ENVIRONMENT = {
    "OMP_NUM_THREADS": "1",
    "OPENBLAS_NUM_THREADS": "1",
    "MKL_NUM_THREADS": "1",
    "MALLOC_MMAP_THRESHOLD_": str(8 * 1024 * 1024),
    "MALLOC_TRIM_THRESHOLD_": str(32 * 1024 * 1024),
}
"""Environment of whatever loads models: two pools of threads on the same processors make both slower; and a matrix that
is gone goes back to the system at once instead of leaving a hole, while what each question needs stays at hand
(https://man7.org/linux/man-pages/man3/mallopt.3.html).
"""


def socket_path(settings: Settings) -> Path:
    """The socket of this installation's language process on this machine."""
    return (
        Path(settings.language_socket)
        if settings.language_socket
        else embedded.run_dir(settings.data_dir) / "language.sock"
    )
