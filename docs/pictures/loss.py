"""Draws loss.svg beside this file, from a real run: the first beat of `crdtmem demo`, and what each store kept of it.

    .venv/bin/python docs/pictures/loss.py

The same run gives the same bytes, whenever and wherever it is made. It brings its own background, light or dark.
"""

from __future__ import annotations

import asyncio
import io
import json
import tempfile
from collections.abc import Mapping
from html import escape
from pathlib import Path
from typing import Any

from crdtmem.cli.demo.command import SEED
from crdtmem.cli.demo.lines import Lines
from crdtmem.cli.demo.loss import LOSS
from crdtmem.cli.demo.play import play
from crdtmem.cli.demo.script import AGENTS, story

PICTURE = Path(__file__).with_suffix(".svg")
WIDTH, COLUMN, ROW, TOP = 860, 430, 16, 120
WORDS = {"facts": "", "findings": "", "closed": "closes: "}
STYLE = """
  .page { fill: #ffffff; stroke: #d1d9e0 } text { fill: #1f2328; font: 13px system-ui, sans-serif }
  .big { font-size: 22px; font-weight: 600 } .small { fill: #59636e } .all { fill: #1a7f37 } .some { fill: #cf222e }
  .lost { fill: #cf222e; text-decoration: line-through; opacity: .75 } .gone { opacity: .3 }
  .web { fill: #0a7ea4 } .docs { fill: #1a7f37 } .synth { fill: #8250df } .reviewer { fill: #bf8700 }
  @media (prefers-color-scheme: dark) {
    .page { fill: #0d1117; stroke: #3d444d } text { fill: #e6edf3 } .small { fill: #9198a1 }
    .all { fill: #3fb950 } .some, .lost { fill: #ff7b72 }
    .web { fill: #39c5cf } .docs { fill: #3fb950 } .synth { fill: #bc8cff } .reviewer { fill: #e3b341 }
  }"""


def drawn(seed: int, figures: Mapping[str, Any]) -> str:
    """The picture of what a run of that seed has measured."""
    told = {(one["agent"], one["place"], one["value"]): one for one in figures["writes"]}
    ended = [step.turn for step in story(seed).steps if step.ends]
    order = [told[turn.agent, *write] for turn in ended for write in turn.writes if write.place != "tokens"]
    height = TOP + ROW * len(order) + 76
    total, tokens = figures["written"], figures["tokens"]
    kept = figures["kept"]
    said = f"Of {total} writes by four agents a JSON file kept {kept['json_file']}, crdtmem {kept['crdtmem']}."
    parts = [
        f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {WIDTH} {height}" width="{WIDTH}" role="img">',
        f"<title>{said}</title>",
        f"<style>{STYLE}\n</style>",
        f'<rect class="page" x=".5" y=".5" width="{WIDTH - 1}" height="{height - 1}" rx="8"/>',
        _text(24, 32, "Four agents read, think and write at the same time. The same writes went to both."),
    ]
    for at, store, name in (
        (24, "json_file", "One JSON file, read and written whole"),
        (24 + COLUMN, "crdtmem", "crdtmem, on each of four replicas"),
    ):
        grade = "all" if kept[store] == total else "some"
        parts.append(_text(at, 70, f"{kept[store]} of {total} writes kept", f"big {grade}"))
        parts.append(_text(at, 92, name, "small"))
        parts += [line for row, one in enumerate(order) for line in _row(at, TOP + ROW * row, one, store)]
        spent = f"{tokens[store]:,} of {tokens['spent']:,} tokens counted"
        parts.append(_text(at, height - 46, spent, "all" if tokens[store] == tokens["spent"] else "some"))
    for place, agent in enumerate(AGENTS):
        parts.append(f'<circle class="{agent}" cx="{28 + 78 * place}" cy="{height - 22}" r="4"/>')
        parts.append(_text(38 + 78 * place, height - 18, agent, "small"))
    parts.append(_text(24 + COLUMN, height - 18, f"Measured in a run of crdtmem demo --seed {seed}", "small"))
    return "\n".join([*parts, "</svg>", ""])


def _row(x: int, y: int, one: Mapping[str, Any], store: str) -> list[str]:
    """One write: whose it was, and whether it is still there."""
    gone, lost = ("", "") if one[store] else (" gone", "lost")
    dot = f'<circle class="{one["agent"]}{gone}" cx="{x + 4}" cy="{y - 4}" r="4"/>'
    return [dot, _text(x + 16, y, WORDS[one["place"]] + one["value"], lost)]


def _text(x: int, y: int, words: str, kind: str = "") -> str:
    return f'<text class="{kind}" x="{x}" y="{y}">{escape(words)}</text>'


def measured(seed: int) -> Mapping[str, Any]:
    """What the first beat measures in a run of its own."""
    lines = io.StringIO()
    with tempfile.TemporaryDirectory() as folder:
        asyncio.run(play(story(seed), Lines(lines), Path(folder), beats=[LOSS]))
    figures: Mapping[str, Any] = json.loads(lines.getvalue().splitlines()[1])["figures"]
    return figures


if __name__ == "__main__":
    PICTURE.write_text(drawn(SEED, measured(SEED)), encoding="utf-8")
    print(f"{PICTURE}: {PICTURE.stat().st_size:,} bytes")
