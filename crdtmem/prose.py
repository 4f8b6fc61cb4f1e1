"""What of an entry is searched, and how a query asks for it. Pure.

An entry gives a text, what it says, and a label, what it is called: the name of its register, its key, the paths inside
its value, its tags, its reason. SQLite's FTS5 makes words of both, folds case and accents, and takes English endings
off. It knows no writing without spaces and no emoji, so characters of such scripts are set apart, and symbols are
spelled.

A query is a bag of words and never reaches FTS5 as it is: every word goes in as a quoted string.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from itertools import pairwise
from typing import Any
from unicodedata import normalize

from crdtmem.change import RECORDS, REGISTER
from crdtmem.entry import Entry
from crdtmem.errors import ValueRefused
from crdtmem.values import thaw

MOST_WORDS = 32  # of a query: the time a search takes grows with each

UNSPACED = "\u0e00-\u0eff\u1000-\u109f\u1780-\u17ff\u3005-\u30ff\u3400-\u9fff\uf900-\ufaff"  # Thai to Chinese
_SYMBOLS = "\u2190-\u2bff\U00010000-\U0010ffff"
_UNSEEN = re.compile("[\u200b-\u200d\u2060\ufe00-\ufe0f]")
_ALONE = re.compile(f"[{UNSPACED}{_SYMBOLS}]")
_WORDS = re.compile(rf'([{UNSPACED}]+)|([{_SYMBOLS}])|([^\s\x00-\x1f,;:/|()\[\]{{}}"<>{UNSPACED}{_SYMBOLS}]+)')

_STOPS = """a about after all also am an and any are as at be because been before being but by can could did do does for
from had has have he her his how i if in into is it its me my near no not of on or our she so some such than that the
their them then there these they this those to too us was we were what when where which who why will with would you
your"""
STOPS = frozenset(_STOPS.split())


def said(kind: int, entry: Entry) -> tuple[str, str]:
    """The text and the label of an entry.

    >>> from crdtmem import Replica
    >>> memory = Replica("ann").open(tenant="acme")
    >>> said(RECORDS, memory.records("orders").put("42", {"state": "open", "sum": {"EUR": 12}}, tags=["vip"]))
    ('open 12', '42 state sum EUR vip')
    """
    value = entry._frozen
    names: list[str] = [entry.field] if kind == REGISTER else [entry.key] if kind == RECORDS else []
    if type(value) is str:
        text = value
    else:
        found = list(leaves(thaw(value)))
        text = " ".join([spelled(leaf) for _, leaf in found])
        names += dict.fromkeys(name for path, _ in found for name in path)
    about = entry._about
    if about is not None:
        names += entry.tags
        if about[0]:
            names.append(about[0])
    return plain(text), plain(" ".join(names)) if names else ""


def leaves(value: Any, path: tuple[str, ...] = ()) -> Iterator[tuple[tuple[str, ...], Any]]:
    """What a value holds at the ends of its paths; the places in a list are no steps of a path.

    >>> list(leaves({"a": {"b": [1, 2]}}))
    [(('a', 'b'), 1), (('a', 'b'), 2)]
    """
    if type(value) is dict:
        for name, inner in value.items():
            yield from leaves(inner, (*path, name))
    elif type(value) is list:
        for inner in value:
            yield from leaves(inner, path)
    else:
        yield path, value


def spelled(leaf: Any) -> str:
    """A scalar as people write it; bytes have no words."""
    return "" if leaf is None or type(leaf) is bytes else str(leaf)


def plain(text: str) -> str:
    """A text in the form that is searched.

    >>> plain("数据 ✅ ﬁne")
    ' 数  据   u2705  fine'
    """
    return text if text.isascii() else _ALONE.sub(lambda found: f" {_alone(found[0])} ", _folded(text))


def _folded(text: str) -> str:
    return _UNSEEN.sub("", normalize("NFKC", text).casefold())


def _alone(char: str) -> str:
    return f"u{ord(char):x}" if char > "\uffff" or "\u2190" <= char <= "\u2bff" else char


def words(query: str) -> list[str]:
    """The words of a query, each once, as phrases of FTS5; without stop words, unless there are no others.

    >>> words('Is the "churn-rate" 3.1 %? OR 数据库')
    ['churn-rate', '3.1', '数 据', '据 库']
    >>> words("to be or not to be")
    ['to', 'be', 'or', 'not']

    Raises:
        ValueRefused: the query is no text.
    """
    try:
        query.encode()
    except UnicodeEncodeError:
        raise ValueRefused("query: it holds a lone surrogate; decode the source properly") from None
    found = list(dict.fromkeys(_phrases(_folded(query))))
    telling = [phrase for phrase in found if phrase not in STOPS]
    return (telling or found)[:MOST_WORDS]


def _phrases(text: str) -> Iterator[str]:
    for run, symbol, word in _WORDS.findall(text):
        if symbol:
            yield _alone(symbol)
        elif len(run) == 1:
            yield run
        elif run:
            yield from (f"{one} {other}" for one, other in pairwise(run))
        else:
            word = word.strip("!#$%&'*+-.=?@\\^_`~")
            if any(char.isalnum() for char in word):
                yield word


def expression(phrases: list[str]) -> str:
    """The query of FTS5 for any of these phrases.

    >>> expression(["3.1", 'NEAR"'])
    '"3.1" OR "NEAR"'
    """
    return " OR ".join(f'"{phrase.replace(chr(34), "")}"' for phrase in phrases)
