"""Replication between processes, imported as `crdtmem.sync`. Not built yet: it is empty.

It will hold the wire protocol, the state machine that speaks it, transports, and `Peer`, which runs them. Until then
replicas exchange changes as bytes, by `memory.changes()` and `memory.receive()`.
"""
