"""A report as a table for people, by rich."""

from __future__ import annotations

from typing import TYPE_CHECKING

from rich.console import Group
from rich.table import Table
from rich.text import Text

if TYPE_CHECKING:
    from crdtmem.coherence.review import Report


def shown(report: Report) -> Group:
    """The table: `rich.print(report)` shows it.

    >>> from crdtmem import Replica, review
    >>> shown(review(Replica("ann").open(tenant="acme"))).renderables[0].plain
    'no contradiction found by offline (0 statements in 0 entries, 0 pairs judged by offline)'
    """
    head = Text(str(report).splitlines()[0])
    if not report.findings:
        return Group(head)
    table = Table("tier", "kind", "who", "what", "status")
    for one in report.findings:
        who = ", ".join(dict.fromkeys(one.authors))
        table.add_row(one.tier, one.kind, Text(who), Text(one.says), one.status)
    return Group(head, table)
