"""The leaking scope: a request comes without a user, and gets the notes of all users.

Scopes are strings, joined from the labels that are there and looked up by prefix. A label that is missing does not make
the lookup fail. It makes it wider.
"""

import pytest

from crdtmem import Namespace, NamespaceError, Replica


class NaiveStore:
    """Keys like "acme:ann:diet", as in any key-value store."""

    def __init__(self) -> None:
        self._notes: dict[str, str] = {}

    def put(self, tenant: str, user: str | None, name: str, note: str) -> None:
        self._notes[":".join(filter(None, [tenant, user, name]))] = note

    def notes(self, tenant: str, user: str | None = None) -> set[str]:
        scope = ":".join(filter(None, [tenant, user]))
        return {note for key, note in self._notes.items() if key.startswith(scope)}


def test_a_label_that_is_missing_widens_a_prefix() -> None:
    store = NaiveStore()
    store.put("acme", "ann", "diet", "Ann is ill")
    store.put("acme-labs", "bob", "pay", "Bob earns more")
    lost_its_user = None
    assert store.notes("acme", lost_its_user) == {"Ann is ill", "Bob earns more"}  # of all users, and of another tenant
    store.put("acme", None, "ann:diet", "overwritten")
    assert store.notes("acme", "ann") == {"overwritten"}  # and one scope writes into another


def test_a_namespace_with_fewer_labels_is_another_memory() -> None:
    replica = Replica("server")
    ann = replica.open(tenant="acme", user="ann")
    ann.set("notes").add("Ann is ill")
    replica.open(tenant="acme-labs", user="bob").set("notes").add("Bob earns more")
    lost_its_user = None
    assert set(replica.open(tenant="acme", user=lost_its_user).set("notes")) == set()
    assert set(ann.set("notes")) == {"Ann is ill"}


def test_nothing_passes_from_one_to_the_other_on_the_way_either() -> None:
    replica = Replica("server")
    ann = replica.open(tenant="acme", user="ann")
    ann.set("notes").add("Ann is ill")
    wider = Replica("other").open(tenant="acme")
    [refusal] = wider.receive(ann.changes()).refused
    assert "namespace" in refusal.reason and len(wider.set("notes")) == 0


def test_a_scope_cannot_be_a_string_or_lack_its_tenant() -> None:
    with pytest.raises(TypeError):
        Replica("server").open("acme:ann")  # type: ignore[arg-type]
    with pytest.raises(NamespaceError):
        Replica("server").open(tenant="")
    assert Namespace(tenant="acme").covers(Namespace(tenant="acme", user="ann"))  # wider only for those who ask
