"""A sample of changed answers: reading them returns rows or a clear error, never a Python error."""

from pathlib import Path

import pytest

from tests import fuzz_answers

pytestmark = pytest.mark.filterwarnings("ignore:Arrow output on a DB-API result")
CASES = 150


def test_no_field_of_any_answer_ends_reading_with_an_error_of_python(tmp_path: Path) -> None:
    with fuzz_answers.recorded(tmp_path) as (settings, resources):
        names = {resource.job.source.name for resource in resources}
        assert names == {source.name for source in fuzz_answers.SOURCES}
        cases = fuzz_answers.sample(resources, CASES, seed=0)
        assert len(cases) == CASES
        assert not fuzz_answers.play(cases, settings)
