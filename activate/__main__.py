"""`python -m activate`."""

from activate.cli import main

main()
