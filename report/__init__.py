"""One page that says how things stand, drawn from the published copy alone.

`figures` says what is shown, each figure from one model; `drawing` turns a chart into SVG that follows the
page's colours; `page.html.j2` puts it together. Nothing here computes a number that no model holds.
"""
