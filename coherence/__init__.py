"""Finding contradictions of meaning in merged memory, imported as `crdtmem.coherence`. Not built yet: it is empty.

It will hold the review, which reads a memory, judges pairs of entries that may disagree (with rules, or with a language
model where one is at hand) and files what it found as entries.
"""
