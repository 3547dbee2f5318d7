"""The sections of the report, in the order of the page: each a file with its figures.

Sections compute no numbers. A figure selects columns of one model, the numbers of its sentences come from
the feeds in `dbt_project/models/marts/report`, and `drawing` places marks and labels.
"""

from typing import Final

from report.figures import Figure, Section
from report.sections import answers, campaigns, customers, email, mavera, operations, trends, video

SECTIONS: Final[tuple[Section, ...]] = (
    trends.SECTION,
    email.SECTION,
    video.SECTION,
    customers.SECTION,
    campaigns.SECTION,
    answers.SECTION,
    mavera.SECTION,
    operations.SECTION,
)
FIGURES: Final[tuple[Figure, ...]] = tuple(figure for section in SECTIONS for figure in section.figures)
