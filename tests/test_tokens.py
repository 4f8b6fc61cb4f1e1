"""Tokens: what they let in, until when, and what they keep out."""

from __future__ import annotations

import asyncio
import random
from pathlib import Path
from typing import Any

import jwt
import pytest
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey

from crdtmem import Identity, MisuseError, Namespace, Peer, Replica
from crdtmem.sync.access import Grant, Refused
from crdtmem.sync.tokens import Door, issue
from tests.crew import Time
from tests.test_peer import LONG, heard

ISSUER = Identity(bytes(32))
ACME, Q3, OTHER = Namespace(tenant="acme"), Namespace(tenant="acme", task="q3"), Namespace(tenant="other")


def signed(claims: dict[str, Any], key: bytes = bytes(32), algorithm: str = "EdDSA") -> str:
    return jwt.encode(claims, Ed25519PrivateKey.from_private_bytes(key), algorithm=algorithm)


GOOD = {"aud": "crdtmem", "sub": "ann", "jti": "1", "exp": 2e9, "read": [["acme"]], "write": []}


def test_what_may_be_written_may_be_read_and_all_below_it() -> None:
    grant = Door(ISSUER.key).grant(issue(ISSUER, "ann", read=[OTHER], write=[Q3]))
    assert [grant.reads(scope) for scope in (ACME, Q3, OTHER)] == [False, True, True]
    assert [grant.writes(scope) for scope in (ACME, Q3, OTHER)] == [False, True, False]
    assert not Door(ISSUER.key).grant(issue(ISSUER, "ann")).reads(ACME)


def test_a_token_that_is_too_long_to_be_shown_is_not_made() -> None:
    with pytest.raises(MisuseError, match=r"at most 8,192 can be shown: name fewer namespaces"):
        issue(ISSUER, "ann", write=[Namespace(tenant="acme", task=f"t{n}" * 20) for n in range(120)])


def test_a_token_may_come_with_the_newline_of_its_file() -> None:
    async def main() -> None:
        token = issue(ISSUER, "bob", write=[ACME]) + "\n"
        ann, bob = (Replica(name).open(ACME) for name in ("ann", "bob"))
        async with (
            Peer(ann, listen="127.0.0.1:0", issuer=ISSUER.key) as one,
            Peer(bob, dial=one.url, token=token) as other,
        ):
            await other.synced(timeout=LONG)

    asyncio.run(main())


def test_a_token_of_another_program_counts_as_well() -> None:
    grant = Door(ISSUER.key, now=Time()).grant(signed(GOOD))
    assert grant == Grant(read=(ACME,), write=(), until=2e9, id="1")


@pytest.mark.parametrize(
    "token",
    [
        "",
        "a.b.c",
        "é",
        signed(GOOD, key=bytes([1] * 32)),
        signed({**GOOD, "aud": "another"}),
        signed({name: value for name, value in GOOD.items() if name != "exp"}),
        signed({name: value for name, value in GOOD.items() if name != "jti"}),
        signed({name: value for name, value in GOOD.items() if name != "read"}),
        signed({**GOOD, "exp": "soon"}),
        signed({**GOOD, "read": "acme"}),
        signed({**GOOD, "read": [[]]}),
        signed({**GOOD, "read": [[None, "q3"]]}),
        signed({**GOOD, "read": [["a"] * 9]}),
        signed({**GOOD, "write": [[{"tenant": "acme"}]]}),
        jwt.encode(GOOD, "", algorithm="none"),
        jwt.encode(GOOD, ISSUER.key.hex() * 2, algorithm="HS256"),
    ],
)
def test_what_the_issuer_has_not_made_lets_nobody_in(token: str) -> None:
    with pytest.raises(Refused, match="not made by the issuer"):
        Door(ISSUER.key).grant(token)


def test_no_letter_of_a_token_may_be_another() -> None:
    token, rng = issue(ISSUER, "ann", write=[Q3]), random.Random(1)
    header, claims, seal = token.split(".")
    for _ in range(500):
        part = rng.choice((header, claims, seal))
        at = rng.randrange(len(part) - 1)  # the last letter of base64 has bits that say nothing
        other = rng.choice([c for c in "abcXYZ019_-" if c != part[at]])
        with pytest.raises(Refused):
            Door(ISSUER.key).grant(token.replace(part, part[:at] + other + part[at + 1 :], 1))


def test_a_token_runs_out_and_can_be_revoked(tmp_path: Path) -> None:
    time, revoked = Time(), tmp_path / "revoked"
    with pytest.raises(MisuseError, match=r"cannot be read: .* an empty file revokes nobody"):
        Door(ISSUER.key, revoked)
    revoked.touch()
    door = Door(ISSUER.key, revoked, now=time)
    token = issue(ISSUER, "ann", read=[ACME], seconds=60, now=time)
    grant = door.grant(token)
    assert door.ends(grant) is None
    revoked.write_text(f"some-other\n{grant.id}\n")
    assert door.ends(grant) == "this token has been revoked"
    with pytest.raises(Refused, match="revoked"):
        door.grant(token)
    revoked.write_text("some-other\n")
    assert door.ends(grant) is None
    time.passes(60)
    assert door.ends(grant) == "this token has run out; ask its issuer for another"
    with pytest.raises(Refused, match="run out"):
        door.grant(token)
    with pytest.raises(Refused, match="crdtmem token"):
        door.grant(None)
    with pytest.raises(MisuseError, match="32 bytes"):
        Door(b"short")


def test_while_the_list_of_revoked_tokens_cannot_be_read_what_it_said_last_counts(tmp_path: Path) -> None:
    revoked, told = tmp_path / "revoked", list[str]()
    first, second = (issue(ISSUER, name, read=[ACME]) for name in ("ann", "bob"))
    gone, good = (Door(ISSUER.key).grant(token) for token in (first, second))
    revoked.write_text(f"{gone.id}\n")
    door = Door(ISSUER.key, revoked)
    door.failed = told.append

    def says(*expected: str | None) -> bool:
        return [door.ends(gone), door.ends(good)] == [why and f"this token has been {why}" for why in expected]

    assert says("revoked", None) and not told
    revoked.write_bytes(b"\xff\xfe\x00")
    assert says("revoked", None) and len(told) == 2
    revoked.unlink()
    assert says("revoked", None) and len(told) == 4
    revoked.mkdir()
    assert says("revoked", None) and len(told) == 6 and all("what it said last counts" in why for why in told)
    revoked.rmdir()
    revoked.write_text(f"{good.id}\n")
    assert says(None, "revoked") and len(told) == 6


def test_peers_with_tokens_see_what_these_allow_until_they_are_revoked(tmp_path: Path) -> None:
    async def main() -> None:
        relay, ann, bob = Replica("relay"), Replica("ann"), Replica("bob")
        shared = [relay.open(Q3), relay.open(OTHER)]
        token = issue(ISSUER, "ann", write=[ACME])
        reader = issue(ISSUER, "bob", read=[ACME])
        revoked = tmp_path / "revoked"
        revoked.touch()
        async with Peer(*shared, listen="127.0.0.1:0", issuer=ISSUER.key, revoked=revoked) as one:
            async with Peer(ann.open(Q3), ann.open(OTHER), dial=one.url, token=token) as two:
                ann.open(Q3).set("s").add("by ann")
                await asyncio.to_thread(shared[0].wait, ann.open(Q3).version, LONG)
                ann.open(OTHER).set("s").add("kept out")
                async with Peer(bob.open(Q3), dial=one.url, token=reader) as three:
                    told = heard(three, lambda news: news.kind == "refused")
                    bob.open(Q3).set("s").add("not taken")
                    assert (await told).detail == "you may read here, not write"
                    version = shared[0].version
                    await asyncio.to_thread(bob.open(Q3).wait, version, LONG)
                    assert set(bob.open(Q3).set("s")) == {"by ann", "not taken"}
                assert set(shared[0].set("s")) == {"by ann"} and not shared[1].set("s")
                left = heard(two, lambda news: news.kind == "left")
                revoked.write_text(Door(ISSUER.key).grant(token).id or "")
                assert (await left).detail == "this token has been revoked"
            stranger = Peer(Replica("eve").open(Q3), dial=one.url, token="guess")
            refused = heard(one, lambda news: news.kind == "refused")
            why = heard(stranger, lambda news: news.kind == "refused")
            async with stranger:
                assert "not made by the issuer" in (await refused).detail
                assert (await why).detail == "this token was not made by the issuer that is trusted here"

    asyncio.run(main())


def test_who_says_whose_tokens_count_may_listen_anywhere() -> None:
    memory = Replica("ann").open(ACME)
    Peer(memory, listen="0.0.0.0:0", issuer=ISSUER.key)
    with pytest.raises(MisuseError, match=r"issuer=identity\.key"):
        Peer(memory, listen="0.0.0.0:0")
