"""`python -m activate`."""

from common import terminal  # noqa: F401  before the other imports, which take a second

# isort: split
from activate.cli.main import main

main()
