"""`python -m activate`."""

from common import terminal  # noqa: F401  before all else, which takes a second to load

# isort: split
from activate.cli.main import main

main()
