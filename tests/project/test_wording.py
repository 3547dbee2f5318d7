"""The measures of texts themselves: what they find in the texts that this project sent before."""

import pytest

from tests import wording

OLD = [
    f"""Contacts whose role is "{role}" and who work in the industry "{industry}".

They are {count} people, {share} % of the 1,200 contacts (95 % interval {low} % to 11 %).
36 % of all contacts with this role are in this industry, and 28 % of this industry's contacts have this role.
280 further contacts state no role or no industry and are in no such group.

Role and industry are what the contacts said of themselves; nothing else here was measured.
Derive tasks, vocabulary, questions and doubts from what people of this role in this industry do;
where the figures say nothing, stay general.

Ref: contact-groups:{role}/{industry} e9d9b9adb75d"""
    for role, industry, count, share, low in (
        ("engineering", "retail", 110, 9, 8),
        ("founder", "software", 64, 5, 4),
    )
]


def test_the_texts_that_were_sent_before_miss_the_bars() -> None:
    found = wording.measured(OLD)
    assert found.cosine > 0.95
    assert found.digits > wording.DIGITS
    assert found.shared_sentences > wording.SHARED_SENTENCES
    assert found.bland == 6
    assert len(list(wording.complaints(OLD))) >= 4


def test_a_measure_counts_what_it_says() -> None:
    assert wording.cosine("one two two", "one two two") == pytest.approx(1)
    assert wording.cosine("one two", "three four") == 0
    assert wording.cosine("one two", "two three") == pytest.approx(0.5)
    assert wording.digits("Of 100 people, half are 20 or so.") == 2 / 8
    assert wording.sentences("They read (measured): A lot. More!") == [
        "They read (measured)",
        "A lot.",
        "More!",
    ]
    assert [wording.syllables(word) for word in ("made", "table", "wanted", "read", "idea", "89")] == [
        1,
        2,
        2,
        1,
        2,
        1,
    ]
    assert wording.grade("The cat sat on the mat.") < 1
    assert wording.grade("Organizational considerations necessitate comprehensive reevaluation.") > 20


def test_a_number_that_is_no_facts_is_found_and_names_are_not_searched() -> None:
    facts = {"count": 1200, "share": 0.36, "mean": 2.0, "money": {"each": 64.5}, "name": "Form 99"}
    text = '1,200 people, 36%, 2 orders of $64.50, "Form 99".\n\nRef: clv-tiers:top e9d9b9adb75d'
    assert wording.invented(text, facts) == []
    assert wording.invented("37% of 1,201 people", facts) == ["37%", "1,201"]


@pytest.mark.parametrize(
    "text", ["It is None.", "They spent  5.", "Played most: .", "A list of.", "Ends here:"]
)
def test_a_hole_in_a_sentence_is_found(text: str) -> None:
    assert wording.broken([text])
