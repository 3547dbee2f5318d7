"""One page that shows the state of everything, drawn from the published copy alone.

`sections` says what is shown, a file per section; each figure has one model, and the numbers in words come
from models too. `drawing` turns a chart into SVG that follows the page's colors; `page` puts it together.
"""
