"""Damage to JSON records: every field gets every kind of wrong value."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from random import Random
from typing import Any

from attacks.formats import checked_line
from attacks.mutate_bytes import Mutator, NotApplicableError

__all__ = ["JSON_MUTATORS", "RECORD_MUTATORS"]

_DEEP = "<deep>"
_NESTED = "[" * 50_000 + "]" * 50_000
_WRONG: list[Any] = [
    *(None, True, False, 0, 1, -1, 2, 7, 10**9, 2**31, 2**53, 2**63, 10**30, -(10**18)),
    *(0.0, -0.5, 0.5, 0.999999, 1.0, 1e-300, 1e308, float("nan"), float("inf"), float("-inf")),
    *(
        "",
        "x",
        "0",
        "1e5",
        "nan",
        "../../outside/canary",
        "/etc/passwd",
        "\x1b[31m\x07",
        "[bold]x[/b]",
        "\x00",
        "\ud800",
    ),
    *("A" * 5000, "é" * 100, "cohen", "auto", "none"),
    *([], {}, [None], [[]], {"": None}, [1e308] * 50, ["x"] * 1000, _DEEP),
]


def _places(value: Any) -> list[tuple[Any, Any]]:
    """Return every (container, key) below a value."""
    keys = value.keys() if isinstance(value, dict) else range(len(value)) if isinstance(value, list) else ()
    own = [(value, key) for key in keys]
    return own + [place for key in keys for place in _places(value[key])]


def _place(record: Any, random: Random) -> tuple[Any, Any]:
    """Choose a place, each field of the record being as likely as another."""
    if not isinstance(record, dict) or not record:
        raise NotApplicableError
    key = random.choice(sorted(record))
    return random.choice([(record, key), *_places(record[key])])


def _wrong_value(record: Any, random: Random) -> Any:
    container, key = _place(record, random)
    container[key] = random.choice(_WRONG)
    return record


def _near_value(record: Any, random: Random) -> Any:
    """Change a value a little, to one of the same type that may well be legal."""
    container, key = _place(record, random)
    value = container[key]
    if isinstance(value, bool):
        container[key] = not value
    elif isinstance(value, int):
        container[key] = random.choice((value + 1, value - 1, 2 * value, value // 2, -value, float(value)))
    elif isinstance(value, float):
        container[key] = random.choice((value * 1.5, value / 10, value * 100, -value, 1 - value, value + 1e-9))
    elif isinstance(value, str):
        i = random.randrange(len(value) + 1)
        container[key] = random.choice(
            (value[:i] + random.choice("a0/[.%\n") + value[i + 1 :], value[::-1], value + " ")
        )
    elif isinstance(value, list) and value:
        container[key] = random.choice((value[:-1], value + value[:1], value[::-1], sorted(value, key=str)))
    else:
        raise NotApplicableError
    return record


def _delete_field(record: Any, random: Random) -> Any:
    container, key = _place(record, random)
    del container[key]
    return record


def _unknown_field(record: Any, random: Random) -> Any:
    containers = [record, *(c[k] for c, k in _places(record) if isinstance(c[k], dict))]
    container = random.choice(containers)
    if not isinstance(container, dict):
        raise NotApplicableError
    container[random.choice(("extra", "", "__class__", "\x1b[2J", "path"))] = random.choice(_WRONG[:-1])
    return record


def _exchange_fields(record: Any, random: Random) -> Any:
    (a, i), (b, j) = _place(record, random), _place(record, random)
    a[i], b[j] = b[j], a[i]
    return record


RECORD_MUTATORS: dict[str, Callable[[Any, Random], Any]] = {
    "wrong value": _wrong_value,
    "near value": _near_value,
    "missing field": _delete_field,
    "unknown field": _unknown_field,
    "exchanged fields": _exchange_fields,
}


def _text_of(record: Any, **how: Any) -> str:
    try:
        return json.dumps(record, **how).replace(json.dumps(_DEEP), _NESTED)
    except (ValueError, RecursionError) as error:  # a container was exchanged with one that holds it
        raise NotApplicableError from error


def _on_json(change: Callable[[Any, Random], Any]) -> Mutator:
    """Apply a change to a JSON file, or to one line of a file of lines, with its checksum kept as it was."""

    def mutate(path: Path, random: Random) -> None:
        text = path.read_text()
        if path.suffix != ".jsonl":
            path.write_text(_text_of(change(json.loads(text), random), indent=2, sort_keys=True) + "\n")
            return
        lines = text.splitlines()
        i = random.randrange(len(lines))
        checksum, space, body = lines[i].partition(" ")
        if checksum.startswith("{"):  # lines without a checksum, such as those of timings
            checksum, space, body = "", "", lines[i]
        lines[i] = checksum + space + _text_of(change(json.loads(body), random), separators=(",", ":"))
        path.write_text("\n".join(lines) + "\n")

    return mutate


def _repeated_key(path: Path, random: Random) -> None:
    """Say a field twice, with other values."""
    record = json.loads(path.read_text())
    key = random.choice(sorted(record))
    extra = json.dumps(random.choice(_WRONG[:-1]))
    path.write_text(f'{{"{key}": {extra}, ' + path.read_text().lstrip()[1:])


def _renumbered(path: Path, random: Random) -> None:
    """Delete, repeat or exchange records of a file of lines, and number the rest as if nothing were missing."""
    lines = path.read_text().splitlines()
    records = [json.loads(line.partition(" ")[2]) for line in lines if not line.startswith("{")]
    if len(records) < 2:
        raise NotApplicableError
    i, j = random.sample(range(len(records)), 2)
    how = random.randrange(3)
    if how == 0:
        del records[i]
    elif how == 1:
        records[i], records[j] = records[j], records[i]
    else:
        records.insert(j, dict(records[i]))
    path.write_text("".join(checked_line({**r, "number": n}) + "\n" for n, r in enumerate(records)))


JSON_MUTATORS: dict[str, Mutator] = {name: _on_json(change) for name, change in RECORD_MUTATORS.items()}
JSON_MUTATORS["repeated key"] = _repeated_key
JSON_MUTATORS["renumbered lines"] = _renumbered
