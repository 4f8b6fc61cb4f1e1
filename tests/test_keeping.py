"""The commands that keep a memory in order: doctor, export and import, checkpoint, prune, rules."""

from __future__ import annotations

import json
import os
from pathlib import Path

import pytest

from crdtmem import Identity, Replica, SqliteStore
from crdtmem.archive import Archive
from tests.test_commands import Ran, filled, plain_surroundings, read
from tests.test_webhook import listening

__all__ = ["plain_surroundings"]  # a fixture

ACME = "tenant=acme,task=q3"


@pytest.fixture
def file(tmp_path: Path) -> Path:
    filled(tmp_path / "team.db")
    return tmp_path / "team.db"


# -- doctor ----------------------------------------------------------------------------------------


def test_doctor_says_what_is_not_well_and_what_to_do(file: Path) -> None:
    ran = Ran("doctor", file).ok()
    rows = {line.split()[1]: line for line in ran.out.splitlines()}
    assert rows["integrity"].startswith("ok") and "whole: 13 changes" in rows["integrity"]
    assert rows["conflicts"].startswith("warn") and "crdtmem conflicts" in rows["conflicts"]
    assert rows["tainted"].startswith("warn")
    [told] = Ran("doctor", file, "--json").ok().json
    assert told["level"] == "warn" and told["namespace"] == ACME
    assert {"subject": "findings", "level": "ok", "says": "none open", "figure": 0, "limit": 86400} in told["signs"]


def test_doctor_ends_with_1_when_something_is_bad_and_if_asked_for_warnings(file: Path) -> None:
    assert Ran("doctor", file).code == 0
    assert Ran("doctor", file, "--strict").code == 1
    assert Ran("doctor", file, "--strict", "--limit", "conflicts=9999w", "--limit", "tainted=1e9").code == 0
    with SqliteStore(file) as store, Replica("ann", store=store) as replica:
        replica.open(tenant="acme", task="q3")
        store.db.execute("UPDATE changes SET core = x'00' WHERE seq = 2")
    ran = Ran("doctor", file)
    assert ran.code == 1 and ran.out.startswith("bad ")


@pytest.mark.parametrize("limit", ["conflicts", "=3", "nonsense=3", "conflicts=x", "conflicts=3x"])
def test_limits_that_are_none(file: Path, limit: str) -> None:
    ran = Ran("doctor", file, "--limit", limit)
    assert ran.code == 1 and ("a name and a number" in ran.err or "no limit is called" in ran.err)


def test_doctor_looks_at_every_memory(tmp_path: Path) -> None:
    with Replica("ann", store=tmp_path / "two.db") as replica:
        for task in ("one", "two"):
            replica.open(tenant="acme", task=task).set("s").add(1)
    assert "name one" in Ran("doctor", tmp_path / "two.db").err
    told = Ran("doctor", tmp_path / "two.db", "--all", "--json").ok().json
    assert [one["namespace"] for one in told] == ["tenant=acme,task=one", "tenant=acme,task=two"]
    assert "tenant=acme,task=two\n" in Ran("doctor", tmp_path / "two.db", "--all").ok().out
    Ran("show", tmp_path / "empty.db", "--memory", "tenant=x")
    assert "no such file" in Ran("doctor", tmp_path / "none.db", "--all").err


def test_doctor_alerts_by_webhook_when_there_is_reason(file: Path, tmp_path: Path) -> None:
    with Replica("ann", store=tmp_path / "well.db") as replica:
        replica.open(tenant="acme").set("s").add(1)
    with listening() as there:
        Ran("doctor", tmp_path / "well.db", "--alert", there.url).ok()
        assert there.told == []
        Ran("doctor", file, "--alert", there.url).ok()
        [(_, _, told)] = there.told
        assert {one["level"] for one in told["signs"]} == {"warn"}
    ran = Ran("doctor", file, "--alert", there.url)  # nobody listens any more
    assert ran.code == 1 and "was not told" in ran.err and "warn" in ran.out
    assert "an address as in" in Ran("doctor", file, "--alert", "hooks").err


# -- export and import -----------------------------------------------------------------------------


def test_an_archive_is_the_same_memory_elsewhere(file: Path, tmp_path: Path) -> None:
    [made] = Ran("export", file, tmp_path / "a", "--json").ok().json
    assert made["memory"] == ACME and made["changes"] == 13 and made["bytes"] == os.path.getsize(tmp_path / "a")
    assert "13 changes of tenant=acme,task=q3" in Ran("export", file, tmp_path / "a").ok().out
    assert Ran("import", tmp_path / "new.db", tmp_path / "a").code == 1
    [came] = Ran("import", tmp_path / "new.db", tmp_path / "a", "--new", "--json").ok().json
    assert came == {"memory": ACME, "changes": 13, "of": 13, "digest": made["digest"]}
    assert "0 changes of 13; the rest was here" in Ran("import", tmp_path / "new.db", tmp_path / "a").ok().out
    for words in (["audit"], ["timeline"], ["explain", "facts", "churn"], ["conflicts"]):
        one, other = (Ran(words[0], path, *words[1:], "--json").ok().out for path in (file, tmp_path / "new.db"))
        assert one == other


def test_lines_are_new_entries_by_whoever_imports_them(file: Path, tmp_path: Path) -> None:
    lines = Ran("export", file, "-", "--lines").ok().json
    assert lines[0]["crdtmem"] == "lines" and lines[0]["entries"] == len(lines) - 1
    assert (
        Ran("export", file, tmp_path / "l", "--lines")
        .ok()
        .out.startswith(f"{tmp_path / 'l'}: {len(lines) - 1} entries")
    )
    [told] = (
        Ran("import", tmp_path / "new.db", tmp_path / "l", "--new", "-m", "tenant=b", "--as", "zoe", "--json").ok().json
    )
    assert told["entries"] == len(lines) - 1
    assert [one["by"] for one in Ran("show", tmp_path / "new.db", "draft", "--json").ok().json] == ["zoe"]
    data = (tmp_path / "l").read_bytes()
    assert "written in" in Ran("import", tmp_path / "new.db", "-", stdin=data).ok().out
    [told] = Ran("export", file, tmp_path / "l", "--lines", "--json").ok().json
    assert told["entries"] == len(lines) - 1
    early = Ran("export", file, "-", "--lines", "--at", "2023-11-14T22:13:21").ok().json
    assert [one["value"] for one in early[1:]] == ["churn.csv"]


def test_what_cannot_be_carried_says_why(file: Path, tmp_path: Path) -> None:
    (tmp_path / "bad").write_text('{"field": "s", "kind": "set", "value": 1}\n{"field": "s"}\n')
    (tmp_path / "cut").write_bytes(b"crdtmem archive\n")
    Ran("export", file, tmp_path / "a").ok()
    for words, said in (
        (("export", file, "-"), "an archive goes to a file"),
        (("export", file, tmp_path / "x", "--at", "1h"), "--at is for --lines"),
        (("export", file, tmp_path / "no" / "x"), "No such file"),
        (("export", tmp_path / "none.db", tmp_path / "x"), "no such file"),
        (("import", file, tmp_path / "none"), "no such file"),
        (("import", file, tmp_path / "bad"), "line 2: no kind"),
        (("import", file, tmp_path / "cut"), "it ends too soon"),
        (("import", file, tmp_path / "a", "--memory", "tenant=other"), "goes where it is from"),
        (("import", file, tmp_path / "a", "--trust", "xyz"), "a key is 32 bytes"),
        (("import", tmp_path / "fresh.db", tmp_path / "a"), "add --new"),
    ):
        before = read(file).version
        ran = Ran(*words)
        assert ran.code == 1 and said in ran.err and ran.err.count("\n") == 1, (words, ran.err)
        assert read(file).version == before
    assert not (tmp_path / "x").exists() and not (tmp_path / "fresh.db").exists()


def test_a_pruned_archive_counts_from_whom_one_trusts(file: Path, tmp_path: Path) -> None:
    Ran("prune", file, "--keep", "3").ok()
    [made] = Ran("export", file, tmp_path / "a", "--json").ok().json
    assert made["pruned"] and made["key"] == Identity.kept(f"{file}-key").key.hex()
    ran = Ran("import", tmp_path / "new.db", tmp_path / "a", "--new")
    assert ran.code == 1 and f"--trust {made['key']}" in ran.err
    [came] = Ran("import", tmp_path / "new.db", tmp_path / "a", "--new", "--trust", made["key"], "--json").ok().json
    assert came["digest"] == made["digest"]


def test_an_archive_of_a_file_without_its_key(file: Path, tmp_path: Path) -> None:
    os.remove(f"{file}-key")  # all is sealed, for its owner closed it: the archive is whole, and vouched for by nobody
    Ran("export", file, tmp_path / "a").ok()
    assert Archive(tmp_path / "a").contents.changes == 13
    assert not os.path.exists(f"{file}-key")


# -- checkpoint and prune --------------------------------------------------------------------------


def test_checkpoints(file: Path) -> None:
    assert Ran("checkpoint", file, "--list").ok().out.startswith("none is kept")
    assert "13 changes in " in Ran("checkpoint", file).ok().out
    [made] = Ran("checkpoint", file, "--json").ok().json
    assert made["changes"] == 13 and made["bytes"] > 0
    [kept] = Ran("checkpoint", file, "--list", "--json").ok().json
    assert [one["changes"] for one in kept] == [13, 13]


def test_prune_says_first_what_would_go(file: Path) -> None:
    assert "say what may go" in Ran("prune", file).err
    assert "0 or more" in Ran("prune", file, "--keep", "-1").err
    [planned] = Ran("prune", file, "--keep", "4", "--dry-run", "--json").ok().json
    assert planned["changes"] == 9 and 0 < planned["bytes"] < planned["size_before"]
    assert "to go: 9 changes" in Ran("prune", file, "--keep", "4", "--dry-run").ok().out
    assert "to go: 0 changes" in Ran("prune", file, "--older-than", "2020-01-01", "--dry-run").ok().out
    shown = Ran("show", file).ok().out
    assert "9 changes pruned: " in Ran("prune", file, "--keep", "4").ok().out
    assert Ran("show", file).ok().out == shown
    [told] = Ran("prune", file, "--keep", "0", "--older-than", "1d", "--json").ok().json
    assert told["changes"] == 4 and told.keys() == {"changes", "size_before", "size_after"}


# -- rules -----------------------------------------------------------------------------------------


def test_rules_are_begun_shown_and_changed_by_their_owner(file: Path, tmp_path: Path) -> None:
    path, rules = tmp_path / "boss.db", tmp_path / "rules.json"
    bot = "ab" * 32
    rules.write_text(
        json.dumps(
            {
                "agents": {bot: ["bot", ["analyst"]]},
                "fields": {"plan": {"kind": "sequence", "writers": ["boss"], "append_only": True}},
                "changes_per_minute": 600,
            }
        )
    )
    begun = Ran("rules", path, "--set", rules, "--new", "-m", "tenant=acme").ok()
    assert "the new rules hold" in begun.out
    shown = Ran("rules", path).ok().out
    assert "plan" in shown and "append-only" in shown and "analyst" in shown and bot in shown and "600 changes" in shown
    [told] = Ran("rules", path, "--json").ok().json
    assert told["agents"][bot] == ["bot", ["analyst"]] and len(told["agents"]) == 2  # and the owner
    told["closed"] = True
    rules.write_text(json.dumps(told))
    Ran("rules", path, "--set", rules, "--why", "nothing else is needed").ok()
    [again] = Ran("rules", path, "--json").ok().json
    assert again["closed"]
    assert "these rules hold already" in Ran("rules", path, "--set", rules).ok().out
    assert "nothing else is needed" in Ran("timeline", path).ok().out
    Ran("export", path, tmp_path / "a").ok()
    Ran("import", tmp_path / "other.db", tmp_path / "a", "--new").ok()
    ran = Ran("rules", tmp_path / "other.db", "--set", rules)
    assert ran.code == 1 and "only the owner of this namespace can" in ran.err


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("not json", "is not valid JSON"),
        ("[]", "name their agents and fields"),
        ('{"agents": {}}', "name their agents and fields"),
        ('{"agents": {}, "fields": {"s": {"kind": "sett"}}}', "kind: one of set"),
        ('{"agents": {}, "fields": {}, "colsed": true}', "colsed: no rule is called so"),
        ('{"agents": {}, "fields": {"s": {"kind": "set", "ttl": "x"}}}', "s.ttl: no rule is called so"),
        ('{"agents": {"xy": "bot"}, "fields": {}}', "a key is 32 bytes"),
        ('{"agents": {}, "fields": {}, "format": 9}', "9"),
        ("[" * 100_000, "is not valid JSON"),
        (" " * ((1 << 20) + 1), "which no rules have"),
    ],
)
def test_rules_that_are_none(tmp_path: Path, text: str, said: str) -> None:
    (tmp_path / "rules.json").write_text(text)
    ran = Ran("rules", tmp_path / "boss.db", "--set", tmp_path / "rules.json", "--new", "-m", "tenant=acme")
    assert ran.code == 1 and said in ran.err and ran.err.count("\n") == 1
    assert not (tmp_path / "boss.db").exists()


def test_an_open_memory_has_no_rules(file: Path, tmp_path: Path) -> None:
    ran = Ran("rules", file)
    assert ran.code == 1 and "is open: it has no owner and no rules" in ran.err
    assert "give them with --set" in Ran("rules", file, "--new").err
    assert "no such file" in Ran("rules", tmp_path / "none.db").err.lower()
    (tmp_path / "r").write_text('{"agents": {}, "fields": {}}')
    assert "nobody's" in Ran("rules", file, "--set", tmp_path / "r").err
    assert "--memory" in Ran("rules", tmp_path / "x.db", "--set", tmp_path / "r", "--new").err
