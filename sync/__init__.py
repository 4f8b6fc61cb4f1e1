"""Replication between processes: a protocol, the state machine that speaks it, and `Peer`, which runs it.

frames -> session (one connection) -> link (memories over it) -> hub (all connections of a peer) -> peer (websockets)
"""

from crdtmem.sync.blocking import BlockingPeer
from crdtmem.sync.news import News
from crdtmem.sync.peer import Peer

__all__ = ["BlockingPeer", "News", "Peer"]
