"""Wistia in the sandbox: the frozen v1 and the modern track over the world's medias, visitors and sessions.

Both tracks answer alike, but for projects (v1), which are folders (modern), and for what a release of the
modern track added; v1 paths may end in `.json`.
What live answers do out of line is done here to a fixed part of the rows: names and addresses that are empty
or null, times with and without milliseconds, coordinates as text, keys left out, medias only events know.
"""

from typing import Final

KEY: Final = "wistia-sandbox"
INACTIVE_KEY: Final = "wistia-inactive"
NARROW_KEY: Final = "wistia-narrow"  # may read medias, not statistics
