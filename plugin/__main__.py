"""`python -m plugin` is the `ahlan` command."""

from plugin.cli import main

main()
