"""Finding contradictions of meaning in merged memory, imported as `crdtmem.coherence`.

A review reads a memory, finds pairs of entries that may disagree, judges them without a model and, where one is at
hand, with one, and files what it found as entries of the same memory.

>>> from crdtmem import Replica, review
>>> from crdtmem.coherence import findings, resolve
>>> memory = Replica("ann").open(tenant="acme")
>>> a = memory.set("facts").add("acme.ceo = R. Chen")
>>> b = memory.acting_as("bob").set("facts").add("acme.ceo = J. Smith")
>>> _ = review(memory).file()
>>> [one] = findings(memory)
>>> _ = resolve(memory, one, "keep", keep=a, why="the register says so")
>>> findings(memory)[0].status, review(memory).coherent
('resolved', True)
"""

from crdtmem.coherence.background import Reviewer
from crdtmem.coherence.charter import Attribute
from crdtmem.coherence.finding import Finding, accept, acknowledge, findings, propose, resolve
from crdtmem.coherence.judge import Budget, Judge, paced, retried
from crdtmem.coherence.review import Coverage, Report, review

__all__ = [
    "Attribute",
    "Budget",
    "Coverage",
    "Finding",
    "Judge",
    "Report",
    "Reviewer",
    "accept",
    "acknowledge",
    "findings",
    "paced",
    "propose",
    "resolve",
    "retried",
    "review",
]
