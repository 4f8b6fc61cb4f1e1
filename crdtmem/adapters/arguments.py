"""What a tool takes, declared once as a Struct: its JSON schema for models, and the check of what they give."""

from __future__ import annotations

import json
from typing import Any, TypeVar

import msgspec

from crdtmem.errors import ValueRefused

T = TypeVar("T")
MOST = 1_000_000  # characters of arguments that come as text


def schema(takes: type[msgspec.Struct]) -> dict[str, Any]:
    """The JSON schema of an object with these fields.

    >>> class Recall(msgspec.Struct):
    ...     query: str
    ...     limit: int = 8
    >>> schema(Recall)["required"], schema(Recall)["properties"]["limit"]
    (['query'], {'type': 'integer', 'default': 8})
    """
    _, components = msgspec.json.schema_components([takes])
    found: dict[str, Any] = components[takes.__name__]
    return {key: value for key, value in found.items() if key not in ("title", "description")}


def checked(takes: type[T], given: object) -> T:
    """What a model gave, as an object or as JSON.

    Raises:
        ValueRefused: it is not what the tool takes; the message says where and what it should be.

    >>> class Recall(msgspec.Struct):
    ...     query: str
    >>> checked(Recall, '{"query": 7}')
    Traceback (most recent call last):
    crdtmem.errors.ValueRefused: the arguments do not fit: Expected `str`, got `int` - at `$.query`
    """
    try:
        if isinstance(given, str):
            if len(given) > MOST:
                raise ValueRefused(f"the arguments have {len(given)} characters, more than {MOST}; say less at a time")
            given = json.loads(given or "{}")
        return msgspec.convert(given, takes)
    except msgspec.ValidationError as error:
        raise ValueRefused(f"the arguments do not fit: {error}") from None
    except (ValueError, RecursionError) as error:
        if isinstance(error, ValueRefused):
            raise
        raise ValueRefused(f"the arguments are not valid JSON: {error}") from None
