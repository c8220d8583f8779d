"""`python -m plugin` is the `ahlan` command."""

import gc

# Two thousand modules are read and all of them stay: looking for garbage among them takes a fifth of the start.
gc.disable()

from plugin.cli import main  # noqa: E402 - what is saved is saved while it is read

gc.enable()
main()
