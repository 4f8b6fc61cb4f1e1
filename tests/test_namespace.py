"""A namespace is six labels, compared whole; nothing matches by accident."""

import dataclasses
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from crdtmem import Namespace, NamespaceError
from crdtmem.namespace import LABELS, MAX_LABEL

labels = st.text(st.characters(exclude_categories=("Cc", "Cs")), min_size=1, max_size=5)
scopes = st.fixed_dictionaries({"tenant": labels}, optional=dict.fromkeys(LABELS[1:], labels))


@given(scopes, scopes)
def test_two_are_the_same_only_when_all_labels_are(one: dict[str, str], other: dict[str, str]) -> None:
    a, b = Namespace(**one), Namespace(**other)
    assert (a == b) == (a.digest == b.digest) == (one == other)
    assert hash(a) == hash(Namespace(**one))


def test_no_joining_of_labels_makes_two_scopes_one() -> None:
    tricky = [
        Namespace(tenant="a", task="b"),
        Namespace(tenant="a", role="b"),
        Namespace(tenant="a/b"),
        Namespace(tenant="ab"),
        Namespace(tenant="a", task="task=b"),
        Namespace(tenant="a", task="b", role="b"),
    ]
    assert len(set(tricky)) == len({scope.digest for scope in tricky}) == len(tricky)


@given(scopes, st.sets(st.sampled_from(LABELS[1:])))
def test_a_scope_covers_what_keeps_its_labels(given_: dict[str, str], dropped: set[str]) -> None:
    whole = Namespace(**given_)
    wider = Namespace(**{name: label for name, label in given_.items() if name not in dropped})
    assert wider.covers(whole)
    assert whole.covers(wider) == (wider == whole)


def test_another_tenant_is_never_covered() -> None:
    assert not Namespace(tenant="a").covers(Namespace(tenant="b", task="a"))


def test_it_shows_what_it_was_made_with() -> None:
    scope = Namespace(tenant="acme", user="ann")
    assert repr(scope) == "Namespace(tenant='acme', user='ann')"
    assert eval(repr(scope), {"Namespace": Namespace}) == scope


def test_it_cannot_be_changed() -> None:
    with pytest.raises(dataclasses.FrozenInstanceError):
        Namespace(tenant="a").tenant = "b"  # type: ignore[misc]


@pytest.mark.parametrize(
    ("given_", "message"),
    [
        ({"tenant": None}, "a namespace needs a tenant"),
        ({"tenant": ""}, "tenant must have 1 to 200 characters; '' has 0"),
        (
            {"tenant": "a", "task": "t" * (MAX_LABEL + 1)},
            "task must have 1 to 200 characters; 'tttttttttttttttttttt' has 201",
        ),
        ({"tenant": 7}, "tenant must be a str, not int"),
        ({"tenant": "a", "role": b"r"}, "role must be a str, not bytes"),
        ({"tenant": "a\n"}, "tenant 'a\\n' holds a control character or a lone surrogate"),
        ({"tenant": "a", "user": "\x7f"}, "user '\\x7f' holds a control character"),
        ({"tenant": "a", "agent": "\ud800"}, "agent '\\ud800' holds a control character or a lone surrogate"),
    ],
)
def test_labels_that_cannot_be_are_refused(given_: dict[str, Any], message: str) -> None:
    with pytest.raises(NamespaceError) as refused:
        Namespace(**given_)
    assert message in str(refused.value)
    assert isinstance(refused.value, ValueError)


def test_the_longest_label_passes() -> None:
    assert Namespace(tenant="t" * MAX_LABEL, task="\U0001f600 with spaces").tenant == "t" * MAX_LABEL


def test_an_owner_makes_it_another_scope_and_open_ones_keep_their_digest() -> None:
    scope = Namespace(tenant="acme")
    assert scope.digest.hex() == "d13df82698b3ed8befb1e6330847f8a1"
    owned = Namespace(tenant="acme", owner="ab" * 16)
    assert owned.digest != scope.digest
    assert owned != scope
    assert repr(owned) == f"Namespace(tenant='acme', owner={'ab' * 16!r})"
    with pytest.raises(NamespaceError, match="owner"):
        Namespace(tenant="acme", owner="")
