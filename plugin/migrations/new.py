"""`python -m plugin.migrations.new "what changed"`: writes the migration between the newest revision and the tables.

Works on a database of its own that is thrown away. Read what it wrote: renames look like a drop and an add.
"""

from __future__ import annotations

import asyncio
import shutil
import sys
import tempfile
from pathlib import Path

from alembic import command
from alembic.operations.ops import MigrationScript
from alembic.script import ScriptDirectory

from plugin.kernel import embedded, migrate


async def write(message: str) -> None:
    """As the superuser, without roles: bring an empty database to the newest revision and compare."""
    data = Path(tempfile.mkdtemp(prefix="ahlan-migration-"))
    servers = await embedded.start(data)
    try:
        config = migrate.config(servers.database_url)
        await asyncio.to_thread(command.upgrade, config, "head")
        number = len(list(ScriptDirectory.from_config(config).walk_revisions())) + 1
        await asyncio.to_thread(
            command.revision, config, message=message, autogenerate=True, rev_id=f"{number:04}",
            process_revision_directives=_nothing_for_nothing,
        )  # fmt: skip
    finally:
        await servers.stop()
        shutil.rmtree(data, ignore_errors=True)


def _nothing_for_nothing(context: object, revision: object, directives: list[MigrationScript]) -> None:
    operations = directives[0].upgrade_ops
    if operations is not None and operations.is_empty():
        directives.clear()
        sys.stderr.write("The tables are what the newest migration makes them: nothing is written.\n")


if __name__ == "__main__":
    if len(sys.argv) != 2 or not sys.argv[1].strip():
        sys.exit('usage: python -m plugin.migrations.new "what changed"')
    asyncio.run(write(sys.argv[1]))
