"""`python -m gaia` is `gaia`."""

from gaia.cli import main

main()
