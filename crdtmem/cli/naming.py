"""How a command line names a memory: its labels, as tenant=acme,task=q3, or as a JSON object."""

from __future__ import annotations

import json
from collections.abc import Collection
from dataclasses import replace

from crdtmem.errors import MisuseError
from crdtmem.namespace import NAMES, Namespace


def scope(text: str) -> Namespace:
    """The namespace that labels on a command line name.

    >>> scope("tenant=acme,task=q3")
    Namespace(tenant='acme', task='q3')
    >>> scope('{"tenant": "a, b"}')
    Namespace(tenant='a, b')
    """
    if text.lstrip().startswith("{"):
        try:
            labels = json.loads(text)
        except (ValueError, RecursionError) as error:
            raise MisuseError(f"{text[:60]!r} is not valid JSON: {error}") from None
        unknown = labels.keys() - set(NAMES)
    else:
        pairs = [item.partition("=") for item in text.split(",")]
        labels = {label: value for label, _, value in pairs}
        unknown = {label for label, given, _ in pairs if not given or label not in NAMES}
        unknown |= {text} if len(labels) < len(pairs) else set()
    if unknown:
        raise MisuseError(f"{text[:80]!r}: labels as in tenant=acme,task=q3; there are {', '.join(NAMES)}")
    labels.setdefault("tenant", "")
    return Namespace(**labels)


def named(namespace: Namespace) -> str:
    """The labels of a namespace, as `scope` reads them.

    >>> named(scope("task=q3,tenant=acme")), named(Namespace(tenant="a,b"))
    ('tenant=acme,task=q3', '{"tenant": "a,b"}')
    """
    labels = {name: value for name in NAMES if (value := getattr(namespace, name)) is not None}
    if any("," in value or not value.isprintable() for value in labels.values()):
        return json.dumps(labels)
    return ",".join(f"{name}={value}" for name, value in labels.items())


def chosen(file: str, held: Collection[Namespace], asked: Namespace | None) -> Namespace:
    """The memory that is meant: the one asked for, or the only one there is. The owner of an owned one may be left out.

    Raises:
        MisuseError: it is not there, or several are meant; the message lists what there is.

    >>> acme, beta = scope("tenant=acme"), scope("tenant=beta")
    >>> chosen("x.db", [acme, beta], beta)
    Namespace(tenant='beta')
    >>> chosen("x.db", [acme, beta], None)
    Traceback (most recent call last):
    crdtmem.errors.MisuseError: x.db holds 2 memories: tenant=acme tenant=beta; name one: --memory tenant=acme
    """
    if asked is None:
        found = list(held)
    else:
        found = [one for one in held if asked in (one, replace(one, owner=None))]
        found = [one for one in found if one == asked] or found
    if len(found) == 1:
        return found[0]
    if not held:
        raise MisuseError(f"{file} holds no memory yet; its first write begins one: add --new --memory tenant=...")
    names = " ".join(map(named, list(held)[:10])) + (" ..." if len(held) > 10 else "")
    if asked is not None and not found:
        raise MisuseError(f"{file} holds no memory {named(asked)}; it holds {names}")
    one = named(found[0])
    raise MisuseError(
        f"{file} holds {len(held)} memories: {names}; name one: --memory {one if ' ' not in one else repr(one)}"
    )
