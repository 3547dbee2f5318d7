"""Whatever a vendor serves in any column, a build passes and publishes: a sample of odd_values.py."""

from pathlib import Path

from tests import odd_values


def test_a_build_bears_odd_values_in_every_column_and_counts_what_it_sets_aside(tmp_path: Path) -> None:
    assert odd_values.play(tmp_path, print, seed=7, share=0.05) == []
