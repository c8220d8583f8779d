"""`make bench`: every claim against its baseline in the same run, one RATIO line each.

Exit code 1 when a bar is missed.

`python -m benchmarks ingest crm` runs only those.
"""

from __future__ import annotations

import subprocess
import sys

ALL = ("ingest", "crm", "jobs", "chat", "start", "inbox", "returns", "help", "learn", "vectors")


def main() -> int:
    """Run each script in a process of its own, so that none inherits another's caches."""
    wanted = sys.argv[1:] or ALL
    codes = [subprocess.run([sys.executable, "-m", f"benchmarks.{name}"], check=False).returncode for name in wanted]
    return 1 if any(codes) else 0


if __name__ == "__main__":
    sys.exit(main())
