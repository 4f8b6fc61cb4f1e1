"""Who writes: keys that seal, session ids that nobody can claim, and clients derived from them."""

import os
import re
import threading
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from crdtmem import BadBytes, Identity
from crdtmem.change import Intro
from crdtmem.identity import client_id, session_id, verify

secrets = st.binary(min_size=32, max_size=32)
digests = st.binary(min_size=32, max_size=32)
ANN = Identity(bytes(32))
HASH = bytes(range(32))


@given(secrets)
def test_the_same_secret_is_the_same_identity(secret: bytes) -> None:
    one, same = Identity(secret), Identity(secret)
    assert one.key == same.key
    assert one.sign(HASH) == same.sign(HASH)
    assert verify(one.key, same.sign(HASH), HASH)


@given(digests, digests)
def test_a_seal_is_good_for_one_hash(sealed: bytes, other: bytes) -> None:
    assert verify(ANN.key, ANN.sign(sealed), other) == (sealed == other)


@given(st.binary(max_size=70), st.binary(max_size=40))
def test_any_bytes_are_a_bad_seal_or_a_bad_key_and_no_error(seal: bytes, key: bytes) -> None:
    assert not verify(ANN.key, seal, HASH)
    assert not verify(key, ANN.sign(HASH), HASH)


def test_identities_are_drawn_at_random_and_show_only_their_key() -> None:
    one, other = Identity(), Identity()
    assert one.key != other.key
    assert repr(one) == f"Identity({one.key.hex()[:12]})"
    assert not hasattr(one, "__dict__")


@pytest.mark.parametrize("secret", [b"", bytes(31), bytes(33)])
def test_a_secret_of_another_length_is_refused(secret: bytes) -> None:
    with pytest.raises(ValueError, match=f"an identity's secret has 32 bytes, not {len(secret)}"):
        Identity(secret)


def test_a_session_id_depends_on_everything_it_is_introduced_with() -> None:
    intro = Intro(ANN.key, "ann", None, bytes(16))
    ids = {
        session_id(bytes(16), intro),
        session_id(bytes(15) + b"x", intro),
        session_id(bytes(16), intro._replace(key=bytes(32))),
        session_id(bytes(16), intro._replace(agent="bob")),
        session_id(bytes(16), intro._replace(role="ann")),
        session_id(bytes(16), intro._replace(nonce=b"x" * 16)),
    }
    assert len(ids) == 6
    assert {len(id) for id in ids} == {16}


@given(st.binary(min_size=16, max_size=16))
def test_a_client_fits_yjs_and_is_never_zero(session: bytes) -> None:
    assert 0 < client_id(session) < 2**53


def test_the_extremes_of_a_client() -> None:
    assert client_id(bytes(16)) == 1
    assert client_id(b"\xff" * 16) < 2**53


# -- kept in a file --------------------------------------------------------------------------------


def test_a_kept_identity_is_made_once_and_read_by_its_owner_alone(tmp_path: Path) -> None:
    path = tmp_path / "ann.key"
    identity = Identity.kept(path)
    assert Identity.kept(str(path)).key == identity.key
    assert path.stat().st_mode & 0o777 == 0o600
    assert re.fullmatch(rb"[0-9a-f]{64}\n", path.read_bytes())
    assert [found.name for found in tmp_path.iterdir()] == ["ann.key"]
    assert Identity.kept(tmp_path / "bob.key").key != identity.key


@pytest.mark.parametrize("text", [b"", b"\n", b"0" * 64, b"0" * 63 + b"\n", b"0" * 65 + b"\n", b"G" * 64 + b"\n"])
def test_a_file_that_holds_no_key_is_refused_and_left_alone(text: bytes, tmp_path: Path) -> None:
    path = tmp_path / "ann.key"
    path.write_bytes(text)
    with pytest.raises(BadBytes, match=r"ann.key is not a key; move it away to begin with a new one"):
        Identity.kept(path)
    assert path.read_bytes() == text


def test_of_several_who_begin_at_once_all_take_the_key_of_the_first(tmp_path: Path) -> None:
    path, found = tmp_path / "ann.key", []
    barrier = threading.Barrier(8)

    def begin() -> None:
        barrier.wait(20)
        found.append(Identity.kept(path).key)

    threads = [threading.Thread(target=begin) for _ in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(20)
    assert len(found) == 8
    assert len(set(found)) == 1
    assert [left.name for left in tmp_path.iterdir()] == ["ann.key"]


def test_whoever_was_first_between_looking_and_writing_keeps_the_key(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    path = tmp_path / "ann.key"
    first = Identity.kept(path)
    monkeypatch.setattr(os.path, "exists", lambda path: False)
    assert Identity.kept(path).key == first.key
    assert [left.name for left in tmp_path.iterdir()] == ["ann.key"]


def test_where_nothing_can_be_written_nothing_is_left(tmp_path: Path) -> None:
    with pytest.raises(FileNotFoundError):
        Identity.kept(tmp_path / "no" / "such" / "folder" / "ann.key")
    assert list(tmp_path.iterdir()) == []
