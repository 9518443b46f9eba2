"""``python -m molft`` is the command line."""

from molft.cli import main

main()
