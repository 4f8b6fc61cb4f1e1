"""Every error crdtmem raises, as one tree.

    CrdtmemError
    |-- yours: the call was wrong, nothing happened
    |   |-- ValueRefused (ValueError)        a value out of bounds; names the path and the limit
    |   |-- NamespaceError (ValueError)      a scope without tenant, a bad label, a version of another scope
    |   |-- KindMismatch (TypeError)         a field opened as one kind that holds another
    |   |-- MisuseError (RuntimeError)       a call that makes no sense here
    |   |   `-- Closed                       a closed replica
    |   |       `-- ForkedReplica            a replica inherited through fork()
    |   |-- ReadOnly (PermissionError)       a write to a memory pinned at a version
    |   |-- RulesRefused (PermissionError)   a write that the rules of an owned namespace do not allow
    |   |   `-- QuotaExceeded                more changes, or bytes, a minute than they allow
    |   |-- NoMatch, AmbiguousMatch (ValueError)   match-then-replace found none, or several
    |   `-- Undecided (KeyError)             concurrent values stand and the field asks for a decision
    |-- circumstance: try again, or act on what it says
    |   |-- NotReached (TimeoutError)        this replica has not seen that version
    |   |-- UpgradeNeeded (RuntimeError)     an authentic change of a newer format has arrived
    |   |-- StoreError (OSError)             the store could not make a write durable
    |   `-- EmbedderFailed (RuntimeError)    a model that makes vectors for search raised, or gave none that fit
    `-- theirs
        `-- BadBytes (ValueError)            bytes from the network or the disk are not what they claim

>>> issubclass(ForkedReplica, Closed) and issubclass(ValueRefused, ValueError)
True
"""

from __future__ import annotations


class CrdtmemError(Exception):
    """The base of every error of this package.

    >>> issubclass(BadBytes, CrdtmemError)
    True
    """


class ValueRefused(CrdtmemError, ValueError):
    """A value that no replica would accept; the message names the path and the limit.

    >>> from crdtmem.values import freeze
    >>> freeze({"a": [1, float("nan")]})
    Traceback (most recent call last):
    crdtmem.errors.ValueRefused: value['a'][1]: nan is not a finite number; store None or a string instead
    """


class NamespaceError(CrdtmemError, ValueError):
    """A scope that cannot be, or bytes and versions that belong to another one."""


class KindMismatch(CrdtmemError, TypeError):
    """A field is opened as one kind while it holds another."""


class MisuseError(CrdtmemError, RuntimeError):
    """A call that makes no sense where it stands; the message says what to do instead."""


class Closed(MisuseError):
    """The replica behind this memory has been closed."""


class ForkedReplica(Closed):
    """The replica was opened before `fork()`; a child process opens its own."""


class ReadOnly(CrdtmemError, PermissionError):
    """A write to a memory that is pinned at a version."""


class RulesRefused(CrdtmemError, PermissionError):
    """A write that no replica would honour by the rules of this namespace; the message says the rule and who may."""


class QuotaExceeded(RulesRefused):
    """More changes, or bytes, a minute than the rules allow one agent; the message says when to go on."""


class NoMatch(CrdtmemError, ValueError):
    """The text to be replaced does not occur."""


class AmbiguousMatch(CrdtmemError, ValueError):
    """The text to be replaced occurs more than once."""


class Undecided(CrdtmemError, KeyError):
    """Concurrent values stand side by side and the field is read with `resolve="escalate"`."""

    def __str__(self) -> str:
        return str(self.args[0])


class NotReached(CrdtmemError, TimeoutError):
    """This replica has not seen the version asked for."""


class UpgradeNeeded(CrdtmemError, RuntimeError):
    """An authentic change of a newer format has arrived; this program can read on but not write."""


class StoreError(CrdtmemError, OSError):
    """The store could not do what was asked; nothing was changed."""


class EmbedderFailed(CrdtmemError, RuntimeError):
    """The model given to a search raised, or gave something else than vectors of one length; nothing was changed."""


class BadBytes(CrdtmemError, ValueError):
    """Bytes that are not what they claim to be. `receive` turns it into a refusal; it never escapes."""
