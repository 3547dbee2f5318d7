"""Wistia in the sandbox: the frozen v1 and the modern track over the world's medias, visitors and sessions.

Both tracks answer alike, except for projects (v1), which are folders (modern), and for additions by a release
of the modern track; v1 paths may end in `.json`. Oddities of live answers appear in a fixed part of the rows:
names and addresses that are empty or null, times with and without milliseconds, coordinates as text, missing
keys, medias that only events mention.
"""

from typing import Final

KEY: Final = "wistia-sandbox"
INACTIVE_KEY: Final = "wistia-inactive"
NARROW_KEY: Final = "wistia-narrow"  # may read medias, not statistics
