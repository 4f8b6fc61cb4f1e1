"""Traces and metrics: a span for each change of ours and each batch, counters beside them, never a value among them."""

import asyncio
import contextvars
import logging
import subprocess
import sys
import threading
from collections.abc import Iterator
from typing import Any

import pytest
from opentelemetry.sdk.metrics import MeterProvider
from opentelemetry.sdk.metrics.export import InMemoryMetricReader
from opentelemetry.sdk.trace import ReadableSpan, TracerProvider
from opentelemetry.sdk.trace.export import SimpleSpanProcessor
from opentelemetry.sdk.trace.export.in_memory_span_exporter import InMemorySpanExporter
from opentelemetry.sdk.trace.sampling import ALWAYS_OFF
from opentelemetry.trace import StatusCode

from crdtmem import Memory, MisuseError, Replica, StoreError, ValueRefused
from crdtmem.observer import Commit, Intake
from crdtmem.telemetry import MAX_FIELDS, Observed, observe
from tests.crew import SCOPE, Unwilling, alone, crew

SECRET = "sesame, the secret value"
TENANT = {"crdtmem.namespace.tenant": "acme"}
OWN = {**TENANT, "crdtmem.origin": "own", "crdtmem.agent": "ann"}
RECEIVED = {**TENANT, "crdtmem.origin": "received"}


class Watched:
    """Exporters in memory, and what they got."""

    def __init__(self, **options: Any) -> None:
        self.exporter = InMemorySpanExporter()
        self.tracers = TracerProvider(**options)
        self.tracers.add_span_processor(SimpleSpanProcessor(self.exporter))
        self.tracer = self.tracers.get_tracer("agent")
        self.reader = InMemoryMetricReader()
        self.meters = MeterProvider(metric_readers=[self.reader])

    def observe(self, memory: Memory) -> Observed:
        return observe(memory, tracer_provider=self.tracers, meter_provider=self.meters)

    def spans(self, name: str = "crdtmem.change") -> list[ReadableSpan]:
        return [span for span in self.exporter.get_finished_spans() if span.name == name]

    def only(self, name: str = "crdtmem.change") -> ReadableSpan:
        [span] = self.spans(name)
        return span

    def points(self, name: str) -> list[Any]:
        data = self.reader.get_metrics_data()
        if data is None:
            return []
        metrics = [m for r in data.resource_metrics for s in r.scope_metrics for m in s.metrics if m.name == name]
        return [point for metric in metrics for point in metric.data.data_points]

    def total(self, name: str, attributes: dict[str, Any]) -> int:
        found = [point.value for point in self.points(name) if dict(point.attributes) == attributes]
        assert len(found) <= 1
        return found[0] if found else 0

    def units(self) -> dict[str, str]:
        data = self.reader.get_metrics_data()
        assert data is not None
        return {m.name: m.unit for r in data.resource_metrics for s in r.scope_metrics for m in s.metrics}


@pytest.fixture
def watched() -> Iterator[Watched]:
    watched = Watched()
    yield watched
    watched.tracers.shutdown()
    watched.meters.shutdown()


def test_a_change_is_a_span_that_says_who_where_why_and_how_much(watched: Watched) -> None:
    memory = alone("ann", role="lead")
    with watched.observe(memory):
        with memory.change(why="merge the lists"):
            memory.set("seen").add(SECRET)
            memory.register("status").assign(SECRET, why="tests are green")
        span = watched.only()
    said = dict(span.attributes or {})
    assert said.pop("crdtmem.bytes") == sum(len(record) - 66 for record in memory.changes())  # the seal came later
    assert said == {
        "crdtmem.namespace.tenant": "acme",
        "crdtmem.namespace.task": "test",
        "crdtmem.agent": "ann",
        "crdtmem.role": "lead",
        "crdtmem.reason": "merge the lists; tests are green",
        "crdtmem.fields": ("seen", "status"),
        "crdtmem.entries": 2,
        "crdtmem.removed": 0,
        "crdtmem.conflicts": 0,
        "crdtmem.version": str(memory.version),
    }
    assert span.status.status_code is StatusCode.UNSET
    assert span.start_time is not None
    assert span.end_time is not None
    assert span.start_time <= span.end_time
    assert span.instrumentation_scope is not None
    assert span.instrumentation_scope.name == "crdtmem"


def test_a_write_without_a_reason_or_role_says_neither_and_other_authors_are_named(watched: Watched) -> None:
    memory = alone("ann")
    watched.observe(memory)
    memory.acting_as("bob", role="review").counter("n").add(1)
    memory.counter("n").add(1)
    memory.set("seen").discard("what is not there")
    with memory.change(why="nothing comes of it"):
        pass
    bob, ann = [dict(span.attributes or {}) for span in watched.spans()]
    assert (bob["crdtmem.agent"], bob["crdtmem.role"]) == ("bob", "review")
    assert ann["crdtmem.agent"] == "ann"
    assert {"crdtmem.role", "crdtmem.reason"}.isdisjoint(ann)


def test_no_value_leaves_the_memory(watched: Watched) -> None:
    ann, bob = crew("ann", "bob")
    watched.observe(ann)
    watched.observe(bob)
    ann.records("facts").put(SECRET, {SECRET: SECRET}, tags=[SECRET])
    ann.sequence("steps").append(SECRET)
    ann.text("draft").append(SECRET)
    bob.receive([*ann.changes(), SECRET.encode()])
    with pytest.raises(ValueRefused, match=r"larger|more than"), ann.change():
        for n in range(9000):
            ann.set("many").add(f"{SECRET} {n}")
    told = [span.to_json() for span in watched.exporter.get_finished_spans()]
    data = watched.reader.get_metrics_data()
    assert data is not None
    assert len(told) == 5
    assert not [text for text in [*told, data.to_json()] if "sesame" in text]


def test_a_long_reason_and_many_fields_are_cut(watched: Watched) -> None:
    memory = alone()
    watched.observe(memory)
    with memory.change(why="x" * 8000):
        for n in range(100):
            memory.counter(f"n {n:03}").add(1)
    said = dict(watched.only().attributes or {})
    assert len(str(said["crdtmem.reason"])) == 1000
    assert len(said["crdtmem.fields"]) == MAX_FIELDS  # type: ignore[arg-type]


# -- where it belongs ------------------------------------------------------------------------------


def test_a_change_is_a_child_of_the_span_it_is_made_in(watched: Watched) -> None:
    memory = alone()
    watched.observe(memory)
    with watched.tracer.start_as_current_span("step") as step, memory.change():
        memory.counter("n").add(1)
    change = watched.only()
    assert change.parent is not None
    assert change.parent.span_id == step.get_span_context().span_id


def test_each_task_and_thread_keeps_its_own_parent(watched: Watched) -> None:
    memory = alone()
    watched.observe(memory)

    async def agent(name: str) -> tuple[str, int]:
        with watched.tracer.start_as_current_span(name) as span:
            await asyncio.sleep(0)
            await asyncio.to_thread(memory.register("status").assign, name, why=name)
            memory.set("done").add(name, why=name)
            return name, span.get_span_context().span_id

    async def agents() -> dict[str, int]:
        return dict(await asyncio.gather(agent("ann"), agent("bob"), agent("eve")))

    mine = asyncio.run(agents())
    found = [(dict(span.attributes or {})["crdtmem.reason"], span.parent) for span in watched.spans()]
    assert len(found) == 6
    assert all(parent is not None and parent.span_id == mine[str(why)] for why, parent in found)


def test_a_thread_of_its_own_has_no_parent_unless_it_takes_the_context_along(watched: Watched) -> None:
    memory = alone()
    watched.observe(memory)
    with watched.tracer.start_as_current_span("step"):
        context = contextvars.copy_context()
        for thread in (
            threading.Thread(target=memory.set("seen").add, args=["a"], kwargs={"why": "bare"}),
            threading.Thread(target=context.run, args=[memory.set("seen").add, "b"], kwargs={"why": "taken along"}),
        ):
            thread.start()
            thread.join()
    bare, along = watched.spans()
    assert bare.parent is None
    assert along.parent is not None


# -- receiving and handing out ---------------------------------------------------------------------


def test_a_batch_is_a_span(watched: Watched) -> None:
    ann, bob = crew("ann", "bob")
    watched.observe(bob)
    bob.register("status").assign("open")
    ann.register("status").assign("closed")
    ann.counter("n").add(1)
    ann.counter("n").add(1)
    records = ann.changes()
    bob.receive([records[2], b"garbage"], sender="ann")
    bob.receive(records)
    early, whole = watched.spans("crdtmem.receive")
    said = dict(early.attributes or {})
    assert [said[f"crdtmem.{what}"] for what in ("applied", "waiting", "refused", "sender")] == [0, 1, 1, "ann"]
    assert said["crdtmem.bytes"] == len(records[2]) + len(b"garbage")
    assert early.status.status_code is StatusCode.UNSET  # bad bytes accuse nobody
    said = dict(whole.attributes or {})
    assert [said[f"crdtmem.{what}"] for what in ("applied", "waiting", "refused", "conflicts")] == [3, 0, 0, 1]
    assert (said["crdtmem.fields"], said["crdtmem.entries"], said["crdtmem.removed"]) == (("n", "status"), 3, 1)
    assert said["crdtmem.version"] == str(bob.version)
    assert "crdtmem.sender" not in said


def test_a_version_of_many_heads_is_told_by_their_number(watched: Watched) -> None:
    taker, *givers = crew("ann", "b", "c", "d", "e", "f")
    watched.observe(taker)
    for giver in givers:
        giver.set("seen").add(giver.agent)
        taker.receive(giver.changes())
    heads = [dict(span.attributes or {}).get("crdtmem.version.heads") for span in watched.spans("crdtmem.receive")]
    assert heads == [None, None, None, None, 5]
    taker.set("seen").add("ann")
    assert dict(watched.only().attributes or {})["crdtmem.version"] == str(taker.version)


def test_everything_is_counted(watched: Watched) -> None:
    ann, bob = crew("ann", "bob")
    watched.observe(ann)
    watched.observe(bob)
    with ann.change():
        ann.set("seen").add(1)
        ann.set("seen").add(2)
    ann.records("facts").put("a", 1)
    bob.records("facts").put("a", 2)
    bob.records("facts").put("b", 2)
    records = ann.changes()
    bob.receive([records[1]])
    assert watched.total("crdtmem.waiting", TENANT) == 1
    bob.receive([*records, b"x", b"y"])
    assert watched.total("crdtmem.changes", OWN) == 2
    assert watched.total("crdtmem.entries", OWN) == 3
    assert watched.total("crdtmem.changes", {**OWN, "crdtmem.agent": "bob"}) == 2
    assert watched.total("crdtmem.changes", RECEIVED) == 2
    assert watched.total("crdtmem.entries", RECEIVED) == 3
    assert watched.total("crdtmem.conflicts", RECEIVED) == 1
    assert watched.total("crdtmem.refusals", TENANT) == 2
    size = sum(map(len, records))
    assert watched.total("crdtmem.io", {**TENANT, "network.io.direction": "transmit"}) == size
    assert watched.total("crdtmem.io", {**TENANT, "network.io.direction": "receive"}) == size + len(records[1]) + 2
    assert watched.total("crdtmem.waiting", TENANT) == 0
    [duration] = watched.points("crdtmem.commit.duration")
    assert duration.count == 4
    assert 0 < duration.sum < 60
    assert duration.explicit_bounds[0] == 1e-5
    assert watched.units() == {
        "crdtmem.changes": "{change}",
        "crdtmem.entries": "{entry}",
        "crdtmem.conflicts": "{conflict}",
        "crdtmem.refusals": "{refusal}",
        "crdtmem.waiting": "{change}",
        "crdtmem.io": "By",
        "crdtmem.commit.duration": "s",
    }


def test_conflicts_are_counted_when_they_come_up_and_not_again(watched: Watched) -> None:
    ann, bob, eve = crew("ann", "bob", "eve")
    watched.observe(ann)
    ann.register("status").assign("open")
    bob.register("status").assign("open")
    ann.receive(bob.changes())  # they agree
    eve.register("status").assign("closed")
    ann.receive(eve.changes())  # a conflict
    eve.set("seen").add(1)
    bob.set("seen").add(1)
    bob.register("status").assign("paused")
    ann.receive([*bob.changes(), *eve.changes()])  # the same conflict
    ann.retract(next(iter(bob.set("seen").entries())), why="fields of our own are no conflict")
    assert watched.total("crdtmem.conflicts", RECEIVED) == 1
    before = ann.version
    ann.register("status").assign("done")
    ann.register("status").assign("reopened", seen=before)  # what was not seen stays beside it
    assert watched.total("crdtmem.conflicts", OWN) == 1


# -- failures --------------------------------------------------------------------------------------


def test_a_refused_write_ends_its_span_with_an_error(watched: Watched) -> None:
    store = Unwilling()
    memory = Replica("ann", store=store).open(SCOPE)
    watched.observe(memory)
    store.full = True
    with pytest.raises(StoreError):
        memory.set("seen").add("x", why="to be kept")
    span = watched.only()
    assert (span.status.status_code, span.status.description) == (StatusCode.ERROR, "StoreError")
    said = dict(span.attributes or {})
    assert (said["error.type"], said["crdtmem.reason"], said["crdtmem.fields"]) == (
        "StoreError",
        "to be kept",
        ("seen",),
    )
    assert said["crdtmem.entries"] == 0
    assert watched.points("crdtmem.changes") == []
    [duration] = watched.points("crdtmem.commit.duration")
    assert dict(duration.attributes) == {**TENANT, "error.type": "StoreError"}


def test_a_batch_that_could_not_be_stored_ends_its_span_with_an_error(watched: Watched) -> None:
    [ann] = crew("ann")
    ann.set("seen").add("x")
    store = Unwilling()
    memory = Replica("bob", store=store).open(SCOPE)
    watched.observe(memory)
    store.full = True
    with pytest.raises(StoreError):
        memory.receive(ann.changes())
    store.full = False
    memory.receive([])
    failed, later = watched.spans("crdtmem.receive")
    said = dict(failed.attributes or {})
    assert failed.status.status_code is StatusCode.ERROR
    assert (said["error.type"], said["crdtmem.applied"], said["crdtmem.waiting"]) == ("StoreError", 0, 1)
    assert dict(later.attributes or {})["crdtmem.applied"] == 1


class Broken:
    """An observer that always raises."""

    def committed(self, commit: Commit) -> None:
        raise RuntimeError("committed")

    def received(self, intake: Intake) -> None:
        raise RuntimeError("received")

    def sent(self, size: int) -> None:
        raise RuntimeError("sent")


def test_an_observer_that_raises_hurts_nobody(caplog: pytest.LogCaptureFixture) -> None:
    ann, bob = crew("ann", "bob")
    for memory in (ann, bob):
        memory._document.observer = Broken()
    with caplog.at_level(logging.ERROR, "crdtmem"):
        assert ann.set("seen").add("x").value == "x"
        assert bob.receive(ann.changes()).applied == 1
    assert ann.digest() == bob.digest()
    assert [str(record.exc_info[1]) for record in caplog.records if record.exc_info] == [
        "committed",
        "sent",
        "received",
    ]


# -- beginning and ending --------------------------------------------------------------------------


def test_closing_ends_it_and_it_may_begin_again(watched: Watched) -> None:
    memory = alone()
    with watched.observe(memory) as observed:
        memory.counter("n").add(1)
        with pytest.raises(MisuseError, match="observed already"):
            watched.observe(memory.acting_as("bob"))
    observed.close()
    memory.counter("n").add(1)
    with watched.observe(memory):
        observed.close()
        memory.counter("n").add(1)
    assert len(watched.spans()) == 2
    assert memory._document.observer is None


def test_a_pinned_memory_is_refused(watched: Watched) -> None:
    memory = alone()
    memory.counter("n").add(1)
    with pytest.raises(MisuseError, match="observe the one it was taken from"):
        watched.observe(memory.at(memory.version))


def test_what_is_not_sampled_is_counted_all_the_same() -> None:
    watched = Watched(sampler=ALWAYS_OFF)
    memory = alone("ann")
    watched.observe(memory)
    memory.counter("n").add(1)
    assert watched.spans() == []
    assert watched.total("crdtmem.changes", OWN) == 1


# -- with and without OpenTelemetry ----------------------------------------------------------------


def ran(script: str) -> str:
    done = subprocess.run([sys.executable, "-c", script], capture_output=True, text=True, check=False)
    assert done.stderr == ""
    return done.stdout


def test_importing_and_writing_load_nothing_of_opentelemetry() -> None:
    script = """
import sys
from crdtmem import Replica
Replica("ann").open(tenant="acme").set("seen").add(1)
print([name for name in sys.modules if name.startswith("opentelemetry") or name == "crdtmem.telemetry"])
"""
    assert ran(script) == "[]\n"


def test_providers_set_up_after_observe_are_used() -> None:
    script = """
from crdtmem import Replica
from crdtmem.telemetry import observe
memory, other = Replica("ann").open(tenant="acme"), Replica("bob").open(tenant="acme")
observe(memory), observe(other)
memory.counter("n").add(1)
from opentelemetry import metrics, trace
from opentelemetry.sdk.metrics import MeterProvider
from opentelemetry.sdk.metrics.export import InMemoryMetricReader
from opentelemetry.sdk.trace import TracerProvider
from opentelemetry.sdk.trace.export import SimpleSpanProcessor
from opentelemetry.sdk.trace.export.in_memory_span_exporter import InMemorySpanExporter
exporter, reader, tracers = InMemorySpanExporter(), InMemoryMetricReader(), TracerProvider()
tracers.add_span_processor(SimpleSpanProcessor(exporter))
trace.set_tracer_provider(tracers)
metrics.set_meter_provider(MeterProvider(metric_readers=[reader]))
memory.counter("n").add(1)
third = Replica("eve").open(tenant="acme")
observe(third)
third.counter("n").add(1)
found = reader.get_metrics_data().resource_metrics[0].scope_metrics[0].metrics
print(len(exporter.get_finished_spans()), sum(len(m.data.data_points) for m in found if m.name == "crdtmem.changes"))
"""
    assert ran(script) == "2 2\n"
