"""The contradiction that merged cleanly: two agents write what cannot both be true, and every check is green.

No key is written twice, so a store that looks for conflicts finds none. No write is lost, and the replicas agree to the
byte. Then the brief says in one paragraph that the office was built in 1820, and in another 1907.
"""

from crdtmem import review
from tests.crew import crew, exchange

ONE, OTHER = "The office was built in 1820.", "The office was built in 1907."


def naive_merge(*stores: dict[str, str]) -> tuple[dict[str, str], list[str]]:
    """All notes of all agents, and the keys under which two say something else."""
    merged: dict[str, str] = {}
    conflicts = []
    for store in stores:
        conflicts += [key for key, note in store.items() if merged.get(key, note) != note]
        merged |= store
    return merged, conflicts


def test_a_merge_by_keys_finds_no_conflict_between_two_dates() -> None:
    merged, conflicts = naive_merge({"web/1": ONE}, {"archive/1": OTHER})
    assert conflicts == []
    assert set(merged.values()) == {ONE, OTHER}


def test_a_review_names_the_two_entries_and_who_wrote_them() -> None:
    web, archive = crew("web", "archive")
    mine = web.set("facts").add(ONE)
    theirs = archive.set("facts").add(OTHER)
    web.set("facts").add("The office has a garden.")
    exchange(web, archive)
    assert web.conflicts() == []  # as for the naive merge: no write met another

    reports = [review(memory) for memory in (web, archive)]
    for report in reports:
        assert report.coherent is False
        [finding] = report.findings
        assert (finding.kind, finding.tier, finding.status) == ("temporal", "certain", "open")
        assert set(finding.entries) == {mine.id, theirs.id} and set(finding.authors) == {"web", "archive"}


def test_when_one_of_the_two_is_taken_back_the_memory_is_coherent_again() -> None:
    web, archive = crew("web", "archive")
    web.set("facts").add(ONE)
    theirs = archive.set("facts").add(OTHER)
    exchange(web, archive)
    assert review(web).coherent is False
    web.retract(theirs, why="that is the extension")
    assert review(web).coherent is True
