"""Traces and metrics of a memory, through the OpenTelemetry API: `pip install 'crdtmem[otel]'`.

Nothing here is imported unless you import it, and a memory is observed once you say so. What reaches a collector is
who wrote how much where, and why: authors, field names and reasons, never values, nor the text of errors, which may
quote them.
"""

from __future__ import annotations

import weakref
from collections.abc import Iterable, Mapping
from typing import Any

from crdtmem.change import Version
from crdtmem.document import Document
from crdtmem.errors import MisuseError
from crdtmem.extras import extra
from crdtmem.memory import Memory
from crdtmem.namespace import LABELS, Namespace
from crdtmem.observer import Commit, Intake

with extra("otel"):
    from opentelemetry import metrics, trace
    from opentelemetry.metrics import CallbackOptions, MeterProvider, Observation
    from opentelemetry.trace import Status, StatusCode, TracerProvider

MAX_REASON = 1000  # characters
MAX_FIELDS = 50
MAX_HEADS = 4  # of a version that is told by its token: one head takes 100 characters, each further one 70
_SCOPE = "crdtmem"
_BUCKETS = [1e-5, 2e-5, 5e-5, 1e-4, 2e-4, 5e-4, 1e-3, 2e-3, 5e-3, 1e-2, 2e-2, 5e-2, 0.1, 0.2, 0.5, 1, 2, 5]  # seconds
Attributes = dict[str, str | int | tuple[str, ...]]


def observe(
    memory: Memory, *, tracer_provider: TracerProvider | None = None, meter_provider: MeterProvider | None = None
) -> Observed:
    """Trace and count what this memory does from now on, whoever writes to it.

    Args:
        memory: a memory; those of `acting_as` are the same one.
        tracer_provider: where spans go, by default what OpenTelemetry was set up with.
        meter_provider: where figures go, by default what OpenTelemetry was set up with.

    Returns:
        A handle; `close()` ends it.

    Raises:
        MisuseError: it is observed already, or pinned at a version.

    >>> from crdtmem import Replica
    >>> memory = Replica("ann").open(tenant="acme")
    >>> with observe(memory):
    ...     _ = memory.set("seen").add("x", why="to be traced")
    """
    document = memory._document
    if not isinstance(document, Document):
        raise MisuseError(
            "this memory is pinned at a version, nothing happens in it; observe the one it was taken from"
        )
    with document.lock:
        document.usable()
        if document.observer is not None:
            raise MisuseError("this memory is observed already; close() what observe() gave before")
        observed = Observed(
            document, trace.get_tracer(_SCOPE, tracer_provider=tracer_provider), _meters(meter_provider)
        )
        document.observer = observed
    return observed


class Observed:
    """A memory that is traced and counted; closing this, or leaving its `with` block, ends it."""

    def __init__(self, document: Document, tracer: trace.Tracer, meters: _Meters) -> None:
        self.document = document
        self.tenant: Attributes = {"crdtmem.namespace.tenant": document.namespace.tenant}
        self._scope = _scope(document.namespace)
        self._tracer = tracer
        self._meters = meters
        meters.watched.add(self)

    def close(self) -> None:
        """Nothing is told from now on; closing twice does nothing."""
        self._meters.watched.discard(self)
        with self.document.lock:
            if self.document.observer is self:
                self.document.observer = None

    def __enter__(self) -> Observed:
        return self

    def __exit__(self, *exc: object) -> None:
        self.close()

    # -- as an Observer ----------------------------------------------------------------------------

    def committed(self, commit: Commit) -> None:
        """A span, a child of the writer's current one, and what it counts."""
        said: Attributes = {"crdtmem.agent": commit.agent}
        if commit.role is not None:
            said["crdtmem.role"] = commit.role
        if commit.reasons:
            said["crdtmem.reason"] = _cut("; ".join(commit.reasons))
        self._span("crdtmem.change", commit, said)
        if commit.error is None:
            who = {**self.tenant, "crdtmem.origin": "own", "crdtmem.agent": commit.agent}
            self._counted(commit, 1, who)
        meters, began, ended = self._meters, *commit.span
        meters.duration.record((ended - began) / 1e9, {**self.tenant, **_error(commit.error)})

    def received(self, intake: Intake) -> None:
        """A span, and what it counts."""
        said: Attributes = {
            "crdtmem.applied": intake.applied,
            "crdtmem.waiting": intake.waiting,
            "crdtmem.refused": intake.refused,
        }
        if intake.sender:
            said["crdtmem.sender"] = intake.sender
        self._span("crdtmem.receive", intake, said)
        meters = self._meters
        self._counted(intake, intake.applied, {**self.tenant, "crdtmem.origin": "received"})
        meters.refusals.add(intake.refused, self.tenant)
        meters.io.add(intake.size, {**self.tenant, "network.io.direction": "receive"})

    def sent(self, size: int) -> None:
        """What it counts."""
        self._meters.io.add(size, {**self.tenant, "network.io.direction": "transmit"})

    def _span(self, name: str, what: Commit | Intake, said: Attributes) -> None:
        began, ended = what.span
        span = self._tracer.start_span(name, start_time=began)
        if span.is_recording():
            span.set_attributes(
                {
                    **self._scope,
                    **said,
                    "crdtmem.fields": tuple([_cut(field) for field in what.fields[:MAX_FIELDS]]),
                    "crdtmem.entries": what.added,
                    "crdtmem.removed": what.removed,
                    "crdtmem.conflicts": what.conflicts,
                    "crdtmem.bytes": what.size,
                    **_version(what.version),
                    **_error(what.error),
                }
            )
            if what.error is not None:
                span.set_status(Status(StatusCode.ERROR, type(what.error).__name__))
        span.end(ended)

    def _counted(self, what: Commit | Intake, changes: int, attributes: Attributes) -> None:
        meters = self._meters
        meters.changes.add(changes, attributes)
        meters.entries.add(what.added, attributes)
        meters.conflicts.add(what.conflicts, attributes)


class _Meters:
    """The instruments of one provider, shared by all memories that are observed through it."""

    def __init__(self, provider: MeterProvider | None) -> None:
        meter = metrics.get_meter(_SCOPE, meter_provider=provider)
        self.watched: weakref.WeakSet[Observed] = weakref.WeakSet()
        self.changes = meter.create_counter("crdtmem.changes", "{change}", "Changes applied, own and received")
        self.entries = meter.create_counter("crdtmem.entries", "{entry}", "Entries added")
        self.conflicts = meter.create_counter(
            "crdtmem.conflicts", "{conflict}", "Registers and keys that came to disagree"
        )
        self.refusals = meter.create_counter("crdtmem.refusals", "{refusal}", "Pieces of foreign bytes refused")
        self.io = meter.create_counter("crdtmem.io", "By", "Bytes of changes handed over, in and out")
        self.duration = meter.create_histogram(
            "crdtmem.commit.duration", "s", "Time to make a change", explicit_bucket_boundaries_advisory=_BUCKETS
        )
        self.waiting = meter.create_observable_gauge(
            "crdtmem.waiting", [self._waiting], "{change}", "Received changes that wait for others"
        )

    def _waiting(self, options: CallbackOptions) -> Iterable[Observation]:
        found: dict[Any, int] = {}
        for observed in list(self.watched):
            for tenant in observed.tenant.values():
                found[tenant] = found.get(tenant, 0) + observed.document.waiting
        return [Observation(count, {"crdtmem.namespace.tenant": tenant}) for tenant, count in found.items()]


_DEFAULT: list[_Meters] = []
_BY_PROVIDER: weakref.WeakKeyDictionary[MeterProvider, _Meters] = weakref.WeakKeyDictionary()


def _meters(provider: MeterProvider | None) -> _Meters:
    if provider is None:
        if not _DEFAULT:
            _DEFAULT.append(_Meters(None))
        return _DEFAULT[0]
    if provider not in _BY_PROVIDER:
        _BY_PROVIDER[provider] = _Meters(provider)
    return _BY_PROVIDER[provider]


def _scope(namespace: Namespace) -> Mapping[str, str]:
    labels = {label: getattr(namespace, label) for label in LABELS}
    return {f"crdtmem.namespace.{label}": value for label, value in labels.items() if value is not None}


def _version(version: Version) -> Attributes:
    if len(version.heads) > MAX_HEADS:
        return {"crdtmem.version.heads": len(version.heads)}
    return {"crdtmem.version": str(version)}


def _error(error: BaseException | None) -> Attributes:
    return {} if error is None else {"error.type": type(error).__qualname__}


def _cut(text: str) -> str:
    return text if len(text) <= MAX_REASON else f"{text[: MAX_REASON - 4]} ..."
