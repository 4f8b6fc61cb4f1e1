"""changed(): one Batch for each change of ours or received batch, in order, outside every lock, on the right thread."""

import asyncio
import logging
import queue
import threading
from typing import Any

import pytest

from crdtmem import Batch, Memory, MisuseError, Replica
from tests.crew import SCOPE, alone, crew, tell


class Inbox:
    """A callback that keeps its batches, and the thread it ran on."""

    def __init__(self) -> None:
        self._queue: queue.Queue[tuple[Batch, threading.Thread]] = queue.Queue()

    def __call__(self, batch: Batch) -> None:
        self._queue.put((batch, threading.current_thread()))

    def next(self) -> Batch:
        return self._queue.get(timeout=20)[0]

    def thread(self) -> threading.Thread:
        return self._queue.get(timeout=20)[1]

    def rest(self) -> list[Batch]:
        return [self._queue.get()[0] for _ in range(self._queue.qsize())]


def opened() -> tuple[Replica, Memory]:
    replica = Replica("ann")
    return replica, replica.open(SCOPE)


def test_a_write_of_ours_is_one_batch() -> None:
    ann, inbox = alone(), Inbox()
    old = ann.set("s").add("x")
    ann.changed(inbox)
    with ann.change():
        new = ann.set("s").add("x")
        count = ann.counter("n").add(1)
    assert inbox.next() == Batch(ann.version, frozenset({"s", "n"}), (new, count), (old,), 1, local=True)


def test_what_is_received_at_once_is_one_batch() -> None:
    ann, bob = crew("ann", "bob")
    inbox = Inbox()
    ann.changed(inbox)
    entries = tuple(bob.set("s").add(i) for i in range(3))
    tell(bob, ann)
    assert inbox.next() == Batch(ann.version, frozenset({"s"}), entries, (), 3, local=False)
    tell(bob, ann)  # nothing new: nobody is told
    last = ann.set("s").add("last")
    assert inbox.next().added == (last,)


def test_every_kind_of_field_tells_what_came_and_went() -> None:
    ann, inbox = alone(), Inbox()
    ann.changed(inbox)
    appended = ann.sequence("l").append("x")
    assert (inbox.next().added) == (appended,)
    ann.sequence("l").remove(0)
    assert inbox.next().removed == (appended,)
    ann.text("t").append("abc")
    assert [entry.value for entry in inbox.next().added] == ["abc"]
    first = ann.register("r").assign(1)
    assert inbox.next().added == (first,)
    ann.register("r").assign(2)
    assert inbox.next().removed == (first,)


def test_only_the_fields_asked_for() -> None:
    ann, some, none, all_ = alone(), Inbox(), Inbox(), Inbox()
    ann.changed(some, fields=["a", "b"])
    ann.changed(none, fields=[])
    ann.changed(all_)
    for name in ("a", "c", "b"):
        ann.set(name).add(1)
    assert [all_.next().fields for _ in range(3)] == [{"a"}, {"c"}, {"b"}]
    assert [some.next().fields for _ in range(2)] == [{"a"}, {"b"}]
    assert some.rest() == none.rest() == []
    with pytest.raises(MisuseError, match=r"fields: a list of names, not one string; use fields=\['a'\]"):
        ann.changed(all_, fields="a")


def test_callbacks_run_in_order_on_one_thread_of_their_own() -> None:
    ann, inbox = alone(), Inbox()
    ann.changed(inbox)
    writers = [threading.Thread(target=lambda: [ann.counter("n").add(1) for _ in range(50)]) for _ in range(4)]
    for writer in writers:
        writer.start()
    for writer in writers:
        writer.join(20)
    batches = [inbox.next() for _ in range(200)]
    assert [batch.added[0].value for batch in batches] == list(range(1, 201))
    ann.counter("n").add(1)
    thread = inbox.thread()
    ann.counter("n").add(1)
    assert thread is inbox.thread() is not threading.current_thread()
    assert thread.daemon


def test_a_callback_may_read_write_and_close_itself() -> None:
    ann, inbox = alone(), Inbox()

    def once(batch: Batch) -> None:
        watch.close()
        ann.set("seen").update(entry.value for entry in batch.added)
        inbox(batch)

    watch = ann.changed(once, fields=["s"])
    ann.set("s").add("x")
    inbox.next()
    assert list(ann.set("seen")) == ["x"]
    ann.set("s").add("y")
    marker = Inbox()
    with ann.changed(marker):
        ann.set("other").add(1)
        marker.next()
    assert inbox.rest() == []


@pytest.mark.parametrize("error", [ValueError("boom"), SystemExit(1), KeyboardInterrupt()])
def test_what_a_callback_raises_is_logged_and_harms_nobody(
    error: BaseException, caplog: pytest.LogCaptureFixture
) -> None:
    ann, inbox = alone(), Inbox()

    def fails(batch: Batch) -> None:
        raise error

    with caplog.at_level(logging.ERROR, logger="crdtmem"):
        ann.changed(fails)
        ann.changed(inbox)
        ann.set("s").add(1)
        ann.set("s").add(2)
        assert [inbox.next().added[0].value for _ in range(2)] == [1, 2]
    assert [record.message for record in caplog.records] == [
        "a callback of changed() failed; its memory is unharmed"
    ] * 2
    assert type(error).__name__ in caplog.text


def test_nothing_is_delivered_after_closing() -> None:
    ann, closed, inbox = alone(), Inbox(), Inbox()
    watch = ann.changed(closed)
    watch.close()
    watch.close()
    with ann.changed(inbox) as handle:
        ann.set("s").add(1)
        inbox.next()
        assert not handle.closed
    assert handle.closed
    ann.set("s").add(2)
    assert closed.rest() == inbox.rest() == []


def test_a_batch_already_on_its_way_is_not_delivered_to_a_closed_handle() -> None:
    ann, closed = alone(), Inbox()
    reached, go_on, done = threading.Event(), threading.Event(), Inbox()

    def holds(batch: Batch) -> None:
        reached.set()
        go_on.wait(20)

    ann.changed(holds)
    watch = ann.changed(closed)
    ann.changed(done)
    ann.set("s").add(1)
    assert reached.wait(20)
    watch.close()
    go_on.set()
    done.next()
    assert closed.rest() == []


def test_closing_the_replica_delivers_what_is_owed() -> None:
    replica, memory = opened()
    inbox = Inbox()
    memory.changed(inbox)
    for i in range(100):
        memory.set("s").add(i)
    replica.close()
    assert [batch.added[0].value for batch in inbox.rest()] == list(range(100))


def test_a_callback_may_close_the_replica() -> None:
    replica, memory = opened()
    closed = threading.Event()

    def close(batch: Batch) -> None:
        replica.close()
        closed.set()

    memory.changed(close)
    memory.set("s").add(1)
    assert closed.wait(20)


def test_on_an_event_loop_a_callback_runs_on_that_loop() -> None:
    ann, bob = crew("ann", "bob")
    bob.set("s").add("from bob")

    async def main() -> list[tuple[Any, bool]]:
        got: asyncio.Queue[tuple[Any, bool]] = asyncio.Queue()

        def callback(batch: Batch) -> None:
            got.put_nowait((batch.added[0].value, threading.current_thread() is threading.main_thread()))

        with ann.changed(callback):
            ann.set("s").add("from the loop")
            await asyncio.to_thread(ann.set("s").add, "from a thread")
            await asyncio.to_thread(tell, bob, ann)
            return [await asyncio.wait_for(got.get(), 20) for _ in range(3)]

    assert asyncio.run(main()) == [("from the loop", True), ("from a thread", True), ("from bob", True)]


def test_on_an_event_loop_what_a_callback_raises_is_logged(caplog: pytest.LogCaptureFixture) -> None:
    ann = alone()

    async def main() -> None:
        failed = asyncio.Event()

        def fails(batch: Batch) -> None:
            failed.set()
            raise ValueError("boom")

        with ann.changed(fails), caplog.at_level(logging.ERROR, logger="crdtmem"):
            ann.set("s").add(1)
            await asyncio.wait_for(failed.wait(), 20)

    asyncio.run(main())
    assert "a callback of changed() failed; its memory is unharmed" in caplog.text


def test_a_loop_that_is_gone_is_passed_over() -> None:
    ann, inbox = alone(), Inbox()

    async def register() -> None:
        ann.changed(inbox)

    asyncio.run(register())
    other = Inbox()
    ann.changed(other)
    ann.set("s").add(1)
    other.next()
    assert inbox.rest() == []


def test_one_batch_names_all_that_fell_with_a_retraction_however_long_the_chain() -> None:
    ann, bob = crew("ann", "bob")
    source = ann.set("s").add("source")
    figure = ann.register("figure").assign(1, because=[source])
    table = ann.sequence("q").append("table", because=[figure])
    brief = ann.text("t").append("brief", because=[table])
    gone = ann.register("gone").assign(1, because=[brief])
    ann.register("gone").assign(2)
    ann.text("t").insert(2, "!")
    ann.sequence("q").insert(0, "before")
    ann.sequence("q").move(1, 0)
    tell(ann, bob)
    mine, his, some, none = Inbox(), Inbox(), Inbox(), Inbox()
    ann.changed(mine)
    bob.changed(his)
    bob.changed(some, fields=["t"])
    bob.changed(none, fields=["gone", "nothing"])
    note = ann.retract(source, why="wrong")
    tell(ann, bob)
    for inbox in (mine, his, some):
        batch = inbox.next()
        assert set(batch.tainted) == {figure, table, brief}  # the fourth is not live any more
        assert (batch.changes, batch.fields) == (1, {"s", "@retracted"})
        assert batch.removed == (source,)
    assert gone.tainted
    bob.affirm(figure, why="holds")
    assert his.next().tainted == ()
    bob.retract(figure, why="no")
    assert set(his.next().tainted) == {table, brief}
    bob.undo(note, why="lifted")
    assert his.next().tainted == ()
    assert none.rest() == []


def test_what_comes_in_and_falls_at_once_is_named_too() -> None:
    ann, bob, inbox = *crew("ann", "bob"), Inbox()
    source = ann.set("s").add("x")
    tell(ann, bob)
    ann.retract(source, why="wrong")
    late = bob.register("r").assign(1, because=[source])
    ann.changed(inbox)
    tell(bob, ann)
    batch = inbox.next()
    assert (batch.added, batch.tainted) == ((late,), (late,))
    own = ann.register("own").assign(1, because=[late])
    assert inbox.next().tainted == (own,)
