"""The report: one static page, made from the published copy alone.

`sections` has a file per section. Each figure shows one model, and the numbers in its sentences come from
models as well. `drawing` turns charts into SVG, and `page` renders the template.
"""
