"""The sections of the report, in the order of the page: each a file with its figures.

A section computes nothing. It asks for columns of one model per figure, and the numbers of its sentences
come from the feeds of `dbt_project/models/marts/report`; where marks and labels go is for `drawing`.
"""

from typing import Final

from report.figures import Figure, Section
from report.sections import campaigns, customers, data, email, mavera, video

SECTIONS: Final[tuple[Section, ...]] = (
    email.SECTION,
    video.SECTION,
    customers.SECTION,
    campaigns.SECTION,
    mavera.SECTION,
    data.SECTION,
)
FIGURES: Final[tuple[Figure, ...]] = tuple(figure for section in SECTIONS for figure in section.figures)
