"""A state as bytes, and back.

    state = piece ...        piece = length (4 bytes), msgpack array: what it is, then its content

Taking a snapshot copies references under the lock; encoding it goes on outside, piece by piece, while the memory is
written to. What is read back was hashed by its owner; still, any bytes give a state or one BadBytes.
"""

from __future__ import annotations

from array import array
from collections.abc import Callable, Iterable, Iterator, Sequence
from itertools import groupby
from typing import Any

from msgspec.msgpack import decode

from crdtmem.change import COUNTER, RECORDS, SET
from crdtmem.entry import Entry, Stamp, Writer
from crdtmem.errors import BadBytes
from crdtmem.fields.keyed import Keyed
from crdtmem.fields.ordered import Gone, Moved, Ordered
from crdtmem.identity import client_id
from crdtmem.rules import Rules
from crdtmem.state import State
from crdtmem.store import Log
from crdtmem.taint import AFFIRMED, RETRACTED
from crdtmem.trust import Cut, Settled
from crdtmem.values import encode, key_of

FORMAT = 2
AT_ONCE = 500  # so many entries make a piece: about a millisecond of work
_SESSIONS, _FACTS, _RESTS, _KEYED, _ORDERED, _TRUST = range(6)


class Snapshot:
    """A state as it is now. Taking it costs a copy of references; the caller holds the lock.

    Args:
        state: the state.
        places: whether with what it says of places in its own log.
    """

    def __init__(self, state: State, *, places: bool = True) -> None:
        self.state = state
        self._namespace = state.namespace
        self.digest = state.digest()
        self.count = state.count
        self._sessions = [
            (s.id, s.key, s.agent, s.role, s.seq, s.hash, s.saw, s.whole[: None if places else 0])
            for s in state.sessions.values()
        ]
        self._facts = (list(state.heads.values()), list(state.voids.items()))
        self._trust = _told(state)
        self._rests = list(state.taint.causes.items())
        self._keyed = [
            (field.kind, field.name, list(field.by_id.values()))
            for field in state.fields.values()
            if type(field) is Keyed
        ]
        self._ordered = [_frozen(field) for field in state.fields.values() if type(field) is Ordered]

    def pieces(self) -> Iterator[bytes]:
        """Its bytes, bit by bit."""
        numbers = {session[0]: number for number, session in enumerate(self._sessions)}
        yield piece(FORMAT, self._namespace, self.count)
        for some in _batches(self._sessions):
            yield piece(_SESSIONS, some)
        yield piece(_FACTS, *self._facts)
        if self._trust is not None:
            yield piece(_TRUST, *self._trust)
        for rests in _batches(self._rests):
            yield piece(_RESTS, rests)
        for kind, name, entries in self._keyed:
            for batch in _batches(entries) if entries else [entries]:  # an empty field has a past
                yield piece(_KEYED, kind, name, *_rows(kind, batch, numbers))
        for ordered in self._ordered:
            yield piece(_ORDERED, *_units(ordered, numbers))


def _told(state: State) -> tuple[Any, ...] | None:
    """What is void, and why: the rules and cuts of an owned namespace, forked sessions; None where there is none."""
    trust = state.trust
    voided, sights = list(state.taint.voided.items()), list(state.tails.sights.items())
    facts = [list(state.forks.items()), sights, voided, [], [], [], []]
    if trust is not None:
        facts[3] = [(hash, named, rules.wire(), trust.origin[hash]) for hash, (named, rules) in trust.book.items()]
        facts[4] = [(*cut[:3], list(cut.marks.items())) for cut in trust.cuts.values()]
        facts[5] = [(s.id, list(s.marks.items()), list(s.cuts)) for s in trust.settled.values()]
        facts[6] = list(trust.missed)
    return tuple(facts) if trust is not None or any(facts) else None


def restore(data: bytes, namespace: bytes, log: Log, digest: bytes, owner: str | None = None) -> State:
    """The state in these bytes, which is to have this digest.

    Raises:
        BadBytes: they are not one, or not that one.
    """
    try:
        state = _Reader(data, namespace, log, owner).state
        if state.digest() != digest:
            raise BadBytes("it does not give the state it was made of")
        return state
    except BadBytes:
        raise
    except Exception as error:  # they were hashed, so this is a defect; the log still tells everything
        raise BadBytes(f"not a checkpoint: {type(error).__name__}: {error}") from None


def piece(*content: Any) -> bytes:
    """One piece."""
    data = encode(content)
    return len(data).to_bytes(4, "big") + data


def split(data: bytes) -> Iterator[Any]:
    """The pieces that these bytes are, decoded.

    Raises:
        BadBytes: they end too soon.
    """
    view = memoryview(data)
    at = 0
    while at < len(data):
        end = at + 4 + int.from_bytes(view[at : at + 4], "big")
        if end > len(data):
            raise BadBytes("a checkpoint that ends too soon")
        yield decode(view[at + 4 : end])
        at = end


def _batches(items: Sequence[Any]) -> Iterator[Sequence[Any]]:
    return (items[start : start + AT_ONCE] for start in range(0, len(items), AT_ONCE))


class _Stamps:
    """The stamps that some rows share, numbered."""

    def __init__(self, numbers: dict[bytes, int]) -> None:
        self.wire: list[Any] = []
        self._numbers = numbers
        self._known: dict[int, int] = {}

    def number(self, stamp: Stamp) -> int:
        known = self._known.get(id(stamp))
        if known is None:
            known = self._known[id(stamp)] = len(self.wire)
            row = (self._numbers[stamp.writer.id], stamp.seq, stamp.hlc, stamp.actor)
            self.wire.append((*row, True) if stamp.verified else row)
        return known


def _rows(kind: int, entries: Iterable[Entry], numbers: dict[bytes, int]) -> tuple[Any, ...]:
    stamps = _Stamps(numbers)
    rows = []
    for e in entries:
        stamp: Any = e._stamp
        row: tuple[Any, ...] = (stamps.number(stamp), e._id[2], e._frozen, e._weight.to_bytes(16, "little"), e._about)
        if kind == RECORDS:
            row = (*row, e.key, e.extra)
        elif kind == COUNTER:  # a step may not fit an int64; the total before it does
            row = (*row, e.key, None if type(e.key) is tuple else e._frozen - e.extra)
        rows.append(row)
    return stamps.wire, rows


def _frozen(field: Ordered) -> tuple[Any, ...]:
    return (
        field.kind,
        field.name,
        field.units.owners(),
        field.units.clocks().tobytes(),
        bytes(field.units.alive()),
        field.units.chars(),
        list(field.ticks.items()),
        [(client, clocks[:]) for client, clocks in field.pairs.items()],
        [(client, clocks[:]) for client, clocks in field.voids.items()],
        list(field.latest.items()),
        field.encoded(),
    )


def _units(ordered: tuple[Any, ...], numbers: dict[bytes, int]) -> tuple[Any, ...]:
    kind, name, owners, *rest = ordered
    stamps = _Stamps(numbers)
    places: dict[int, int] = {}
    table: list[tuple[Any, ...]] = []

    def place(owner: Any) -> int:
        found = places.get(id(owner))
        if found is None:
            if type(owner) is Entry:
                row: tuple[Any, ...] = (stamps.number(owner._stamp), owner._id[2], owner._frozen, owner._about)  # type: ignore[arg-type]
            elif type(owner) is Moved:
                row = (stamps.number(owner._stamp), owner._id[2], place(owner.entry))
            else:
                row = (stamps.number(owner._stamp), owner._id[2])
                if owner.entry is not None:
                    row = (*row, place(owner.entry), None, None)
            found = places[id(owner)] = len(table)
            table.append(row)
        return found

    runs = []
    for _, same in groupby(owners, id):
        run = list(same)
        runs += [place(run[0]), len(run)]
    return (kind, name, stamps.wire, table, runs, *rest)


class _Reader:
    """Makes the state, piece by piece."""

    def __init__(self, data: bytes, namespace: bytes, log: Log, owner: str | None) -> None:
        self.state = State(namespace, log, owner)
        self._writers: list[Writer] = []
        pieces = split(data)
        format, scope, count = next(pieces)
        if format != FORMAT or scope != namespace:
            raise BadBytes("a checkpoint of another format, or of another namespace")
        takers: dict[int, Callable[..., None]] = {
            _SESSIONS: self._sessions,
            _FACTS: self._facts,
            _RESTS: self._rests,
            _KEYED: self._keyed,
            _ORDERED: self._ordered,
            _TRUST: self._trusted,
        }
        for what, *content in pieces:
            takers[what](*content)
        for name in (RETRACTED, AFFIRMED):
            spoken = self.state.fields.get((RECORDS, name))
            self.state.taint.notice(name, spoken.by_id.values() if type(spoken) is Keyed else (), ())
        if self.state.forks or self.state.taint.voided:
            for field in self.state.fields.values():
                if field.kind == COUNTER:
                    field.recount(self.state.taint.voiding)  # type: ignore[union-attr]
        self.state.resumed(count)

    def _sessions(self, sessions: list[Any]) -> None:
        for id, key, agent, role, seq, hash, saw, whole in sessions:
            writer = self.state.sessions[id] = Writer(id, client_id(id), key, agent, role)
            writer.seq, writer.hash, writer.saw, writer.tainted = seq, hash, saw, self.state.taint.tainted
            writer.whole = [(first, place) for first, place in whole]
            self._writers.append(writer)

    def _facts(self, heads: list[Any], voids: list[Any]) -> None:
        self.state.heads = {head[0]: tuple(head) for head in heads}
        self.state.voids = {tuple(change): why for change, why in voids}

    def _trusted(self, forks: Any, sights: Any, voided: Any, book: Any, cuts: Any, settled: Any, missed: Any) -> None:
        state = self.state
        for session, seq in forks:
            state.fork(session, seq)
        state.stale = False  # it was made knowing them
        state.tails.sights = {tuple(change): _tupled(seen) for change, seen in sights}
        state.taint.voided = {tuple(part): _tupled(ids) for part, ids in voided}
        if state.trust is not None:
            state.trust.missed = set(missed)
            for hash, named, told, origin in book:
                state.trust.enter(hash, named, Rules.read(told), tuple(origin))
            for id, key, name, marks in cuts:
                state.trust.add(Cut(_tupled(id), key, name, dict(marks)))
            for id, marks, known in settled:
                named = Settled(_tupled(id), dict(marks), frozenset(map(_tupled, known)))
                state.trust.settled[named.id] = named

    def _rests(self, rests: list[Any]) -> None:
        for id, causes in rests:
            self.state.taint.rest(tuple(id), _tupled(causes))

    def _stamps(self, wire: list[Any]) -> list[Stamp]:
        writers = self._writers
        return [Stamp(writers[row[0]], row[1], row[2], row[3] and tuple(row[3]), len(row) > 4) for row in wire]

    def _keyed(self, kind: int, name: str, wire: list[Any], rows: list[Any]) -> None:
        field: Any = self.state.field(kind, name)
        stamps = self._stamps(wire)
        made = []
        key: Any = None
        extra: Any = None
        for number, n, frozen, weight, about, *more in rows:
            stamp = stamps[number]
            if kind == SET:
                key = frozen if type(frozen) is str else key_of(frozen)
            elif kind == RECORDS:
                key, extra = more
                if extra is not None:
                    extra = _tupled(extra)
            elif kind == COUNTER:
                key, extra = _tupled(more[0]), -frozen if more[1] is None else frozen - more[1]
            if about is not None:
                about = tuple(about) if len(about) == 1 else _tupled(about)  # a reason and nothing else, as most
            id = (stamp.writer.id, stamp.seq, n)
            made.append(Entry(id, name, key, frozen, about, stamp, extra, int.from_bytes(weight, "little")))
        field.resume(made)

    def _ordered(self, kind: int, name: str, wire: list[Any], table: list[Any], runs: list[int], *rest: Any) -> None:
        stamps = self._stamps(wire)
        owners: list[Any] = []
        for number, n, *more in table:
            stamp = stamps[number]
            id = (stamp.writer.id, stamp.seq, n)
            if not more:
                owners.append(Gone(id, stamp))
            elif len(more) == 3:
                owners.append(Gone(id, stamp, owners[more[0]]))
            elif len(more) == 1:
                owners.append(Moved(id, stamp, owners[more[0]]))
            else:
                owners.append(Entry(id, name, None, more[0], more[1] and _tupled(more[1]), stamp))
        clocks, alive, *more = rest
        if min(runs[1::2], default=1) < 1 or not sum(runs[1::2]) == len(alive) == len(clocks) // 8:
            raise BadBytes("runs that do not add up")
        units: list[Any] = []
        for owner, length in zip(runs[::2], runs[1::2], strict=True):
            units += [owners[owner]] * length
        field: Any = self.state.field(kind, name)
        chars, ticks, pairs, voids, latest, doc = more
        field.resume(
            units,
            array("Q", clocks),
            alive,
            chars,
            dict(ticks),
            dict(pairs),
            dict(voids),
            {client: _tupled(last) for client, last in latest},
            doc,
        )


def _tupled(wire: Any) -> Any:
    """Lists as tuples, all the way down."""
    return tuple([_tupled(item) for item in wire]) if type(wire) is list else wire
