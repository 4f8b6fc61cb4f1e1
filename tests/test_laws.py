"""The laws of merging: order, grouping and repetition of deliveries change nothing, and the past stays."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

from hypothesis import given
from hypothesis import strategies as st

from tests.machine import CALLS, perform
from tests.model import ChangeId
from tests.world import Letter, Site, World

SITES = 3
STEPS = st.lists(
    st.one_of(
        st.tuples(st.integers(0, SITES - 1), CALLS),
        st.tuples(st.integers(0, SITES - 1), CALLS),
        st.tuples(st.integers(0, SITES - 1), st.integers(0, SITES - 1)),
    ),
    min_size=2,
    max_size=14,
)
STORIES = st.tuples(st.integers(0, 99), STEPS)


@contextmanager
def told(story: Any, *, sealed: bool = False) -> Iterator[tuple[World, list[Letter], list[Site]]]:
    """A world in which a story has happened, all its letters, and three sites that have heard nothing.

    Many a change goes unsealed, covered by the seal of a later one; with `sealed`, each has a seal of its own.
    """
    seed, steps = story
    world = World(SITES, seed)
    posted: dict[ChangeId, Letter] = {}
    try:
        for who, what in steps:
            site = world.sites[who]
            if isinstance(what, int):
                world.deliver(site, world.send(world.sites[what]))
            else:
                perform(world, site, what)
                if sealed:
                    posted |= {letter.id: letter for letter in world.send(site) if letter.sealed}
            world.take(site)
        world.settle()
        letters = [posted.get(letter.id, letter) for letter in world.send(world.sites[0])]
        yield world, letters, [Site(world, number) for number in (3, 4, 3)]
    finally:
        world.close()


def same(world: World, *sites: Site) -> None:
    """All of them show what the model says, with one version and one digest."""
    for site in sites:
        world.check(site)
        assert site.memory.version == world.sites[0].memory.version
        assert site.memory.digest() == world.sites[0].memory.digest()


@given(story=STORIES, order=st.randoms(use_true_random=False))
def test_order_changes_nothing(story, order):
    with told(story) as (world, letters, (one, two, _)):
        for letter in letters:
            world.deliver(one, [letter])
        order.shuffle(letters)
        for letter in letters:
            world.deliver(two, [letter])
        same(world, one, two)


@given(story=STORIES, cuts=st.lists(st.integers(0, 14), min_size=2, max_size=4))
def test_grouping_changes_nothing(story, cuts):
    with told(story) as (world, letters, (one, two, three)):
        world.deliver(one, letters)
        ends = sorted({min(cut, len(letters)) for cut in cuts} | {len(letters)})
        groups = [letters[start:end] for start, end in zip([0, *ends], ends, strict=False)]
        for group in groups:
            world.deliver(two, group)
        for group in reversed(groups):
            world.deliver(three, group)
        same(world, one, two, three)


@given(story=STORIES, repeats=st.lists(st.integers(0, 14), max_size=5))
def test_repetition_changes_nothing(story, repeats):
    with told(story, sealed=True) as (world, letters, (one, two, _)):
        world.deliver(one, letters)
        for at, letter in enumerate(letters):
            world.deliver(two, [letter, letter])
            world.deliver(two, [letters[again % (at + 1)] for again in repeats])
        before = (two.memory.version, two.memory.digest())
        world.deliver(two, letters * 2)
        assert (two.memory.version, two.memory.digest()) == before
        same(world, one, two)


@given(story=STORIES, order=st.randoms(use_true_random=False))
def test_merging_is_commutative(story, order):
    """What two sites know, taken in one way round or the other."""
    with told(story) as (world, letters, (one, two, _)):
        mine = [letter for letter in letters if order.random() < 0.5]
        others = [letter for letter in letters if letter not in mine]
        for site, first, second in ((one, mine, others), (two, others, mine)):
            world.deliver(site, first)
            world.check(site)
            world.deliver(site, second)
        same(world, one, two)


@given(story=STORIES)
def test_the_past_stays(story):
    """`at(version)` shows what stood there, wherever it is asked; so does a replica that goes only so far."""
    with told(story, sealed=True) as (world, letters, (one, _, _)):
        world.deliver(one, letters)
        for taken in range(len(world.versions)):
            world.look_back(world.sites[taken % SITES], taken)
            world.look_back(one, taken)
        version, view = world.versions[len(world.versions) // 2]
        short = Site(world, 4)
        world.deliver(short, [letter for letter in letters if letter.id in view])
        assert short.memory.version == version
        assert short.memory.digest() == one.memory.at(version).digest()


@given(story=STORIES)
def test_the_digest_tells_contents_apart(story):
    """No two contents that read differently have one digest."""
    with told(story) as (world, letters, (one, _, _)):
        world.deliver(one, letters)
        found: dict[str, Any] = {}
        for version, view in world.versions:
            content = world.history.values(view)
            assert found.setdefault(one.memory.at(version).digest(), content) == content


@given(story=STORIES, spots=st.lists(st.tuples(st.integers(0, 2000), st.integers(0, 7)), min_size=1, max_size=6))
def test_altered_records_change_nothing(story, spots):
    """A record with one bit changed says nothing to anybody, and keeps the true one from nobody."""
    with told(story, sealed=True) as (world, letters, (one, _, _)):
        for letter in letters:
            for place, bit in spots:
                altered = bytearray(letter.data)
                altered[place % len(altered)] ^= 1 << bit
                before = (one.memory.version, one.memory.digest())
                assert one.memory.receive([bytes(altered)]).applied == 0
                assert (one.memory.version, one.memory.digest()) == before
            assert one.memory.receive([letter.data]).applied == 1
            one.has.add(letter.id)
        same(world, one)
