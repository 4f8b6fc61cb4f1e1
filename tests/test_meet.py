"""A meeting place: who may use it, what lies there, and what a stranger learns."""

from __future__ import annotations

import os
import shutil
import stat
import threading
from pathlib import Path

import pytest

from crdtmem import MisuseError
from crdtmem.sync.meet import Address, Meeting

ANN, BOB = b"a" * 16, b"b" * 16


def test_it_is_made_for_its_owner_alone(tmp_path: Path) -> None:
    place = Meeting(tmp_path / "deep" / "team")
    assert stat.S_IMODE(place.folder.stat().st_mode) == 0o700
    assert stat.S_IMODE((place.folder / "secret").stat().st_mode) == 0o600
    assert [path.name for path in place.folder.iterdir()] == ["secret"]


@pytest.mark.parametrize("mode", [0o755, 0o770, 0o701])
def test_a_folder_that_is_open_to_others_is_refused_with_what_to_do(tmp_path: Path, mode: int) -> None:
    folder = tmp_path / "team"
    folder.mkdir()
    folder.chmod(mode)
    with pytest.raises(MisuseError, match=f"chmod 700 {folder}"):
        Meeting(folder)
    folder.chmod(0o700)
    Meeting(folder)


def test_a_secret_that_is_none_is_refused(tmp_path: Path) -> None:
    place = Meeting(tmp_path / "team")
    (place.folder / "secret").write_text("x")
    with pytest.raises(MisuseError, match="not the secret of a meeting place"):
        Meeting(place.folder)


def test_all_who_come_at_once_have_one_secret(tmp_path: Path) -> None:
    places: list[Meeting] = []
    start = threading.Barrier(8)

    def come() -> None:
        start.wait()
        places.append(Meeting(tmp_path / "team"))

    threads = [threading.Thread(target=come) for _ in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert len({place.proof(ANN, BOB) for place in places}) == 1
    assert os.listdir(tmp_path / "team") == ["secret"]


def test_a_proof_is_for_one_pair_in_one_direction(tmp_path: Path) -> None:
    place, other = Meeting(tmp_path / "team"), Meeting(tmp_path / "other")
    proof = place.proof(ANN, BOB)
    assert place.knows(proof, theirs=ANN, mine=BOB)
    assert not place.knows(proof, theirs=BOB, mine=ANN)
    assert not place.knows(proof, theirs=ANN, mine=ANN)
    assert not other.knows(proof, theirs=ANN, mine=BOB)
    for nonsense in (None, "", "é", proof[:-1], proof.upper()):
        assert not place.knows(nonsense, theirs=ANN, mine=BOB)


def test_who_is_there_can_be_seen_until_they_leave(tmp_path: Path) -> None:
    place = Meeting(tmp_path / "team")
    ann, bob = Address(ANN, "ann", "ws://127.0.0.1:1"), Address(BOB, "bob", "ws://127.0.0.1:2")
    other = Meeting(tmp_path / "team")
    place.announce(ann)
    other.announce(bob)
    assert place.present() == other.present() == [ann, bob]
    other.leave()
    other.leave()
    assert place.present() == [ann]
    other.dead(ann)
    other.dead(ann)
    assert place.present() == []


def test_what_is_no_address_is_not_one(tmp_path: Path) -> None:
    place = Meeting(tmp_path / "team")
    for name, text in (
        ("notes.txt", "hello"),
        (f"{ANN.hex()}.new", "{}"),
        (f"{ANN.hex()}.peer", "{"),
        (f"{BOB.hex()}.peer", "[]"),
        (f"{bytes(16).hex()}.peer", '{"name": "ann"}'),
        ("zz.peer", "{}"),
    ):
        (place.folder / name).write_text(text)
    assert place.present() == []


def test_who_listens_where_the_dead_did_cleans_up_after_it(tmp_path: Path) -> None:
    place = Meeting(tmp_path / "team")
    dead, cyd = Address(ANN, "ann", "ws://127.0.0.1:1"), Address(b"c" * 16, "cyd", "ws://127.0.0.1:2")
    Meeting(tmp_path / "team").announce(dead)
    Meeting(tmp_path / "team").announce(cyd)
    again = Address(BOB, "ann", "ws://127.0.0.1:1")
    place.announce(again)
    assert place.present() == [again, cyd]


def test_who_stays_is_announced_again_unless_it_has_left(tmp_path: Path) -> None:
    place, other = Meeting(tmp_path / "team"), Meeting(tmp_path / "team")
    ann = Address(ANN, "ann", "ws://127.0.0.1:1")
    place.stay()
    assert place.present() == []
    place.announce(ann)
    other.dead(ann)
    place.stay()
    assert other.present() == [ann]
    other.dead(ann)
    place.leave()
    place.stay()
    assert other.present() == []


def test_a_folder_that_was_removed_is_made_anew_with_one_secret_for_all(tmp_path: Path) -> None:
    ann, bob = Meeting(tmp_path / "team"), Meeting(tmp_path / "team")
    addresses = [Address(ANN, "ann", "ws://127.0.0.1:1"), Address(BOB, "bob", "ws://127.0.0.1:2")]
    ann.announce(addresses[0])
    bob.announce(addresses[1])
    shutil.rmtree(ann.folder)
    assert bob.present() == []
    late = Meeting(tmp_path / "team")
    for place in (ann, bob):
        place.stay()
        assert late.knows(place.proof(ANN, BOB), ANN, BOB)
    assert late.present() == addresses
    shutil.rmtree(ann.folder)
    ann.stay()
    assert Meeting(tmp_path / "team").knows(late.proof(ANN, BOB), ANN, BOB)


def test_a_folder_that_cannot_be_is_said_with_its_reason(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")
    with pytest.raises(MisuseError, match=r"meet='.*/file/team' cannot be a meeting place: .*Not a directory"):
        Meeting(tmp_path / "file" / "team")
