"""Replicas converge, to what the reference model says, whatever happens to them and to their messages."""

import pytest
from hypothesis import settings

from crdtmem import Replica
from tests.machine import Convergence
from tests.world import IDENTITIES, NAMESPACE, nonces

TestConvergence = Convergence.TestCase
TestConvergence.settings = settings(max_examples=max(300, settings.default.max_examples), stateful_step_count=30)


@pytest.mark.parametrize("seed", range(12))
def test_neighbours_are_replaced_at_once(seed):
    """A run between units that do not stand side by side, deleted ones included, made Yjs replicas differ for ever."""
    with nonces(seed):
        memories = [Replica(f"agent{n}", identity=IDENTITIES[n]).open(NAMESPACE) for n in range(3)]
        memories[0].sequence("q").extend(["p", "q", "r", "s"])
        memories[0].text("t").append("Churn is low.")
        for memory in memories[1:]:
            memory.receive(memories[0].changes())
        memories[1].sequence("q").replace(0, "new p")
        memories[2].sequence("q").replace(1, "new q")
        memories[1].text("t").replace("Churn", "Loss")
        memories[2].text("t").replace(" is", " was")
        for source in memories:
            for memory in memories:
                memory.receive(source.changes())
    assert {memory.digest() for memory in memories} == {memories[0].digest()}
    assert str(memories[0].text("t")) == "Loss was low."
