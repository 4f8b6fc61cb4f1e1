"""Three agents share one memory without a server: they work apart, swap bytes over a bad line, and agree.

Every line marked "ok" was checked in this run; the exit code is 0 only when all of them hold.
"""

from __future__ import annotations

import os
import random
import sys
from collections import Counter
from collections.abc import Callable, Mapping
from typing import Any, TextIO

from crdtmem import Entry, Memory, Received, Replica, Version

ROLES = {"web": "web researcher", "docs": "docs researcher", "synth": "synthesizer"}
Crew = Mapping[str, Memory]
Exchange = Callable[[Crew, random.Random], Mapping[str, "Line"]]


# -- what the agents do ----------------------------------------------------------------------------


def plan(memory: Memory) -> None:
    """The synthesizer sets the task before the three part."""
    with memory.change(why="the task, as given"):
        memory.set("questions").update(["Is it the price?", "Is it support?", "Is it seasonal?"])
        memory.records("facts").put("acme", {"churn": "3.1 %", "plan": "annual"})
        memory.text("draft").append("Acme: churn rose to 3.1 % in March.")


def web_works(memory: Memory) -> None:
    """The web researcher, knowing nothing of the others' work."""
    memory.set("questions").add("Was it the outage?", why="status page of 12 March")
    memory.set("questions").add("Is it support?", why="angry reviews: still open")
    memory.counter("tokens").add(3200)
    memory.counter("tokens").add(2200)
    memory.register("headline").assign("The price rise did it", confidence=0.6, why="a forum thread")
    memory.records("facts").merge("acme", {"price": "+20 %"}, why="pricing page")
    memory.sequence("findings").append("Rivals kept their prices", tags=["price"])
    memory.sequence("findings").append("Reviews turned in March", tags=["support"])
    memory.text("draft").append(" The price went up 20 %.")


def docs_works(memory: Memory) -> None:
    """The docs researcher, likewise."""
    memory.set("questions").discard("Is it seasonal?", why="three flat years")
    memory.set("questions").discard("Is it support?", why="ticket counts did not change")
    memory.set("questions").add("Who left first?", why="the CRM has no dates")
    memory.counter("tokens").add(4100)
    memory.register("headline").assign("The outage did it", confidence=0.8, why="exit surveys")
    memory.records("facts").merge("acme", {"churn": "4.7 %"}, why="CRM export, corrected")
    memory.sequence("findings").append("Six of ten leavers name the outage", tags=["outage"])
    memory.text("draft").replace("3.1 %", "4.7 %", why="CRM export, corrected")


def synth_works(memory: Memory) -> None:
    """The synthesizer, likewise."""
    memory.set("questions").add("What would keep them?", why="the board will ask")
    memory.counter("tokens").add(1750)
    memory.records("facts").merge("acme", {"owner": "R. Chen"}, why="org chart")
    memory.sequence("findings").append("Brief is due on Friday", tags=["plan"])
    memory.text("draft").insert(0, "DRAFT. ", why="not for the board yet")


WORK = {"web": web_works, "docs": docs_works, "synth": synth_works}


# -- swapping bytes over a bad line ----------------------------------------------------------------


class Line(Counter[str]):
    """What one receiver was handed, and what came of it."""

    def took(self, received: Received) -> None:
        """Add one delivery up."""
        self.update(applied=received.applied, refused=len(received.refused))
        self["waited"] = max(self["waited"], received.waiting)


def swap(crew: Crew, rng: random.Random) -> Mapping[str, Line]:
    """Everyone sends everything to everyone: shuffled, some of it lost at first, some twice, with rubbish among it."""
    lines = {name: Line() for name in crew}
    sent = {name: memory.changes() for name, memory in crew.items()}
    for name, memory in crew.items():
        mail = [record for sender, records in sent.items() if sender != name for record in records]
        lost = rng.sample(mail, len(mail) // 4)
        twice = rng.sample(mail, len(mail) // 3)
        bad = [rng.randbytes(40), mail[0][:-9], *(flipped(record, rng) for record in mail[:3])]
        first = [record for record in mail if record not in lost] + twice + bad
        for delivery in (first, lost):
            rng.shuffle(delivery)
            for record in delivery:  # one by one: the worst way to send them
                lines[name].took(memory.receive([record], sender="the line"))
        lines[name].update(handed=len(first) + len(lost), late=len(lost), twice=len(twice), bad=len(bad))
    return lines


def flipped(record: bytes, rng: random.Random) -> bytes:
    """The same bytes with one bit wrong."""
    at = rng.randrange(len(record))
    return record[:at] + bytes([record[at] ^ 1 << rng.randrange(8)]) + record[at + 1 :]


# -- what is there, in plain data ------------------------------------------------------------------

Content = dict[str, Any]


def content(memory: Memory) -> Content:
    """Everything a memory holds. A record has a key of its own, so that the dict gets a fair chance."""
    facts = {f"facts[{key}]": value for key, value in memory.records("facts").items()}
    return {
        "questions": set(memory.set("questions")),
        "tokens": memory.counter("tokens").value,
        "headline": {entry.value for entry in memory.register("headline").siblings},
        "findings": list(memory.sequence("findings")),
        "draft": str(memory.text("draft")),
        **facts,
    }


def written(memory: Memory, agent: str, start: Version) -> list[tuple[str, Any]]:
    """What this agent wrote since the start, but for the counter: (place, value), a patch one line for each sub-key."""
    fields = [memory.set("questions"), memory.register("headline"), memory.sequence("findings"), memory.text("draft")]
    found = [(field.name, entry.value) for field in fields for entry in field.entries(by=agent, since=start)]
    for entry in memory.records("facts").entries(by=agent, since=start):
        found += [(f"facts[{entry.key}]", {sub: value}) for sub, value in entry.value.items()]
    return found


def kept(write: tuple[str, Any], there: Content) -> bool:
    """Whether a write can still be seen in what is there."""
    place, value = write
    if isinstance(value, dict):
        return value.items() <= there.get(place, {}).items()
    return value in there[place]


def last_writer_wins(start: Content, apart: Mapping[str, Content]) -> Content:
    """The same work in a dict of which each agent has a copy: of two values of a key, the one written later stays."""
    merged = dict(start)
    for mine in apart.values():  # in the order in which they worked
        merged.update({place: value for place, value in mine.items() if value != start[place]})
    return merged


# -- showing it ------------------------------------------------------------------------------------


class Page:
    """Plain text, coloured on a terminal; it remembers which claims failed."""

    def __init__(self, out: TextIO) -> None:
        self.out = out
        self.colour = out.isatty() and "NO_COLOR" not in os.environ and os.environ.get("TERM") != "dumb"
        self.checked = 0
        self.failed: list[str] = []

    def line(self, text: str = "", paint: str = "") -> None:
        """Print one line."""
        print(f"\x1b[{paint}m{text}\x1b[0m" if paint and self.colour else text, file=self.out)

    def head(self, text: str) -> None:
        """Begin a section."""
        self.line()
        self.line(text, "1")

    def table(self, rows: list[tuple[object, ...]], *widths: int) -> None:
        """Columns: the first is aligned left, the others too unless their width is negative."""
        for row in rows:
            cells = [f"{cell!s:>{-w}}" if w < 0 else f"{cell!s:<{w}}" for cell, w in zip(row, widths, strict=True)]
            self.line(("  " + " ".join(cells)).rstrip())

    def check(self, claim: str, holds: bool) -> None:  # noqa: FBT001 (it is what this is about)
        """Say a claim, and whether it holds."""
        self.checked += 1
        if not holds:
            self.failed.append(claim)
        self.line(f"  {'ok  ' if holds else 'FAIL'} {claim}", "32" if holds else "1;31")


def show_apart(page: Page, apart: Mapping[str, Content]) -> None:
    page.head("1. They work apart. Each sees its own work and nobody else's.")
    rows: list[tuple[object, ...]] = [("", *apart)]
    rows.append(("questions", *(f"{len(mine['questions'])} of them" for mine in apart.values())))
    rows.append(("findings", *(f"{len(mine['findings'])} of them" for mine in apart.values())))
    rows.append(("tokens", *(f"{mine['tokens']:,}" for mine in apart.values())))
    rows.append(("headline", *(" ".join(mine["headline"]) or "none" for mine in apart.values())))
    rows.append(("facts[acme]", *(f"{len(mine['facts[acme]'])} sub-keys" for mine in apart.values())))
    rows.append(("draft", *(f"{len(mine['draft'])} characters" for mine in apart.values())))
    page.table(rows, 12, 22, 22, 18)
    page.check("no two of them read the same", all(a is b or a != b for a in apart.values() for b in apart.values()))


def show_swap(page: Page, crew: Crew, lines: Mapping[str, Line], made: Mapping[str, int]) -> None:
    page.head("2. They swap bytes over a bad line, each in another order.")
    columns = ("handed", "late", "twice", "bad", "waited", "refused", "applied")
    rows: list[tuple[object, ...]] = [("to", *columns)]
    rows += [(name, *(line[column] for column in columns)) for name, line in lines.items()]
    page.table(rows, 8, *[-8] * len(columns))
    page.line("  waited: the most at one time for which something earlier was still missing")
    for name, memory in crew.items():
        page.line(f"  {name:<6} digest {memory.digest()[:32]}")
    page.check("the three digests are equal", len({memory.digest() for memory in crew.values()}) == 1)
    page.check("the three versions are equal", len({memory.version for memory in crew.values()}) == 1)
    read = [content(memory) for memory in crew.values()]
    page.check("the three read the same", all(one == read[0] for one in read))
    others = {name: sum(made.values()) - made[name] for name in crew}
    applied = {name: line["applied"] for name, line in lines.items()}
    page.check("each applied every change of the others once, and nothing else", applied == others)


def listed(value: Any) -> str:
    """A value on one line."""
    return (
        ", ".join(f"{name} {part}" for name, part in value.items()) if isinstance(value, dict) else str(value).strip()
    )


def show_entries(page: Page, entries: list[Entry]) -> list[str]:
    """One line for each: who, what, why. Gives back who."""
    for entry in entries:
        page.line(f"    {entry.by:<6} {listed(entry.value):<36} {entry.why or ''}"[:80].rstrip())
    return sorted(entry.by for entry in entries)


def show_merged(page: Page, memory: Memory) -> None:
    page.head("3. What everyone sees now, with who wrote it and why.")
    tokens, facts, draft = memory.counter("tokens"), memory.records("facts"), memory.text("draft")
    page.line("  questions, a set")
    show_entries(page, memory.set("questions").entries())
    page.line("  findings, a sequence")
    show_entries(page, memory.sequence("findings").entries())
    page.line(f"  facts, records: {listed(facts.get('acme', {}))}")
    show_entries(page, facts.entries())
    page.line("  draft, a text that reads:")
    page.line(f"    {draft}")
    show_entries(page, draft.entries())
    shares = " + ".join(f"{entry.by} {entry.value:,}" for entry in tokens.entries())
    page.line(f"  tokens, a counter: {tokens.value:,} = {shares}")
    open_questions = memory.set("questions")
    page.check("'Is it support?', closed by docs and reopened by web, is open", "Is it support?" in open_questions)
    page.check("'Is it seasonal?', closed by docs, is closed", "Is it seasonal?" not in open_questions)


def show_dispute(page: Page, crew: Crew, exchange: Exchange, rng: random.Random) -> None:
    page.head("4. Two headlines disagree. Both stay until someone who saw both decides.")
    synth, web = crew["synth"], crew["web"]
    headline = synth.register("headline")
    conflicts = synth.conflicts()
    authors = show_entries(page, [entry for conflict in conflicts for entry in conflict.entries])
    page.check("there is one conflict, and it names both authors", authors == ["docs", "web"] and len(conflicts) == 1)
    seen = synth.version
    page.line("  synth notes the version and thinks. Meanwhile web writes again:")
    web.register("headline").assign("Price and outage, half each", why="a new survey")
    exchange(crew, rng)
    decided = headline.assign("The outage did it", seen=seen, why="surveys outweigh a forum")
    page.line("  synth decides with seen=, so what it had not seen is not overwritten:")
    authors = show_entries(page, headline.siblings)
    page.check("web's late headline stands beside the decision", authors == ["synth", "web"])
    final = headline.assign("The outage, then the price", because=[decided], why="read the new survey")
    exchange(crew, rng)
    page.line("  synth reads it and decides again, now having seen all:")
    show_entries(page, headline.siblings)
    read = [memory.register("headline").siblings for memory in crew.values()]
    page.check("the three read that headline and no other", read == [[final]] * 3)
    page.check("no conflict is left anywhere", not any(memory.conflicts() for memory in crew.values()))


def compare(
    page: Page, start: Content, apart: Mapping[str, Content], writes: list[tuple[str, Any]], ours: Content
) -> None:
    page.head("5. The same work in a dict where the last writer of a key wins.")
    page.line("  A key for each field and record; each agent has a copy; newest values stay.")
    theirs = last_writer_wins(start, apart)
    places = list(dict.fromkeys(place for place, _ in writes))
    rows: list[tuple[object, ...]] = [("", "written", "crdtmem", "dict")]
    for place in places:
        here = [write for write in writes if write[0] == place]
        rows.append((place, len(here), sum(kept(w, ours) for w in here), sum(kept(w, theirs) for w in here)))
    lost = sum(not kept(write, theirs) for write in writes)
    tokens = start["tokens"] + sum(mine["tokens"] - start["tokens"] for mine in apart.values())
    rows.append(("tokens", *(f"{n:,}" for n in (tokens, ours["tokens"], theirs["tokens"]))))
    page.table(rows, 14, -9, -9, -9)
    page.line(f"  The dict lost {lost} of {len(writes)} writes and {tokens - theirs['tokens']:,} of {tokens:,} tokens,")
    page.line("  and says nothing of it.")
    page.check("crdtmem lost none of them", all(kept(write, ours) for write in writes) and ours["tokens"] == tokens)
    page.check("the dict lost some", lost > 0 and theirs["tokens"] < tokens)
    page.check("in the dict, 'Is it seasonal?' is open again", "Is it seasonal?" in theirs["questions"])


def main(out: TextIO = sys.stdout, exchange: Exchange = swap) -> int:
    """Run it; 0 when every claim holds."""
    page = Page(out)
    rng = random.Random(7)
    page.line("crdtmem: three agents, one memory, no server", "1")
    replicas = {name: Replica(name, role=role) for name, role in ROLES.items()}
    crew = {name: replica.open(tenant="acme", task="churn brief") for name, replica in replicas.items()}
    plan(crew["synth"])
    for name in ("web", "docs"):
        crew[name].receive(crew["synth"].changes())
    start, before = crew["synth"].version, content(crew["synth"])
    apart, writes = {}, []
    for name, work in WORK.items():
        work(crew[name])
        apart[name] = content(crew[name])
        writes += written(crew[name], name, start)
    show_apart(page, apart)
    made = {name: len(memory.changes(since=start)) for name, memory in crew.items()}
    show_swap(page, crew, exchange(crew, rng), made)
    merged = content(crew["synth"])
    show_merged(page, crew["synth"])
    show_dispute(page, crew, exchange, rng)
    compare(page, before, apart, writes, merged)
    for replica in replicas.values():
        replica.close()
    page.line()
    good = page.checked - len(page.failed)
    page.line(f"{good} of {page.checked} claims hold.", "1" if not page.failed else "1;31")
    return 1 if page.failed else 0


if __name__ == "__main__":
    sys.exit(main())
