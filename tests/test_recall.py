"""Recall of the full-text ranking on a labelled set (`data/recall.py`), beside a plain TF-IDF over the same entries."""

import json
import math
import re
from collections import Counter
from typing import Any

from crdtmem import Memory
from tests.crew import alone
from tests.data.recall import ENTRIES, QUESTIONS

BEST = 10


def noted() -> Memory:
    memory = alone()
    for _, field, value in ENTRIES:
        kind, name, *key = field.split(":")
        handle: Any = getattr(memory, kind)(name)
        if kind == "set":
            handle.add(value)
        elif kind == "register":
            handle.assign(value)
        elif kind == "records":
            handle.put(key[0], value)
        elif kind == "sequence":
            handle.append(value)
        else:
            handle.append(value + "\n")
    return memory


def names() -> dict[tuple[str, str], str]:
    return {(field.split(":")[1], json.dumps(value, sort_keys=True)): name for name, field, value in ENTRIES}


def by_search(memory: Memory, question: str, best: int) -> list[str]:
    known = names()
    return [known[hit.field, json.dumps(hit.value, sort_keys=True)] for hit in memory.search(question, limit=best)]


class Plain:
    """TF-IDF with cosine similarity, as in any textbook: words as they are, in small letters."""

    def __init__(self) -> None:
        texts = {name: f"{field} {json.dumps(value, ensure_ascii=False)}" for name, field, value in ENTRIES}
        self.counts = {name: Counter(self.words(text)) for name, text in texts.items()}
        held = Counter(word for words in self.counts.values() for word in words)
        self.idf = {word: math.log(len(texts) / many) for word, many in held.items()}

    def words(self, text: str) -> list[str]:
        return re.findall(r"\w+", text.lower())

    def best(self, question: str, best: int) -> list[str]:
        asked = self.weighed(Counter(self.words(question)))
        scores = {name: self.cosine(asked, self.weighed(words)) for name, words in self.counts.items()}
        return [name for name in sorted(scores, key=lambda name: (-scores[name], name)) if scores[name] > 0][:best]

    def weighed(self, words: Counter[str]) -> dict[str, float]:
        return {word: many * self.idf.get(word, 0.0) for word, many in words.items()}

    def cosine(self, one: dict[str, float], other: dict[str, float]) -> float:
        lengths = math.hypot(*one.values()) * math.hypot(*other.values())
        return sum(weight * other.get(word, 0.0) for word, weight in one.items()) / lengths if lengths else 0.0


def recall(answers: list[list[str]]) -> float:
    """How many of the entries that answer are among those found, over all questions alike."""
    shares = [
        len(set(found) & set(wanted)) / len(wanted) for found, (_, wanted) in zip(answers, QUESTIONS, strict=True)
    ]
    return sum(shares) / len(shares)


def figures() -> dict[str, float]:
    """Recall of both, at 10 and at 3."""
    memory, plain = noted(), Plain()
    return {
        f"{name} at {best}": recall([answer(question, best) for question, _ in QUESTIONS])
        for best in (BEST, 3)
        for name, answer in (("search", lambda q, n: by_search(memory, q, n)), ("tf-idf", plain.best))
    }


def test_the_set_is_sound() -> None:
    known = [name for name, _, _ in ENTRIES]
    assert len(set(known)) == len(known) == len(names())
    assert all(name in known for _, wanted in QUESTIONS for name in wanted)


def test_recall_is_high_and_above_a_plain_tf_idf() -> None:
    found = figures()
    assert found["search at 10"] >= 0.9
    assert found["search at 10"] >= found["tf-idf at 10"] + 0.05
    assert found["search at 3"] >= found["tf-idf at 3"]


if __name__ == "__main__":
    print("\n".join(f"{name}: {share:.3f}" for name, share in figures().items()))
