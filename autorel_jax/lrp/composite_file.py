"""Composite files: TOML -> a Composite. `autorel-explain --composite-file` reads them; docs/rules.md lists the rules.

name = "robust"                 # for reports
base = "attnlrp"                # a name in COMPOSITES: what is not said below is as there

[ops]
add = "ratio"                   # op = rule
linear = {rule = "gamma", gamma = 0.1}   # with parameters, each a number or a list of one for each layer
"""

from collections.abc import Mapping
from pathlib import Path
from typing import Any

from autorel_jax.errors import InputError
from autorel_jax.files import read_toml
from autorel_jax.lrp.composites import COMPOSITES, OPS, Composite, composite, refuse_unknown, rule_named

KEYS = ("name", "base", "ops")


def read_composite(path: Path) -> Composite:
    """The composite that a TOML file describes.

    Raises:
      InputError: it cannot be read, or names an unknown base, op or rule; the message lists those that exist.
    """
    raw = read_toml(path)
    try:
        return parse_composite(raw)
    except InputError as error:
        raise InputError(f"{path}: {error}") from None


def parse_composite(raw: Mapping[str, Any]) -> Composite:
    """A parsed composite file -> Composite."""
    refuse_unknown("key", raw, KEYS)
    for key in ("name", "base"):
        if not isinstance(raw.get(key), str) or not raw[key]:
            raise InputError(f"{key}={raw.get(key)!r}: expected a string.")
    if raw["name"] in COMPOSITES:
        raise InputError(f"the name {raw['name']!r} is taken; choose another than {', '.join(COMPOSITES)}.")
    base, tables = composite(raw["base"]), raw.get("ops", {})
    if not isinstance(tables, dict):
        raise InputError(f"ops={tables!r}: expected a table of op = rule.")
    refuse_unknown("op", tables, OPS)
    given = {op: table if isinstance(table, dict) else {"rule": table} for op, table in tables.items()}
    rules = {op: table["rule"] for op, table in given.items() if "rule" in table}
    for op, rule in rules.items():
        rule_named(base, op, rule)  # a name, in a file
    made = base.derive(raw["name"], **rules)
    for op, table in given.items():
        refuse_unknown(f"key of {op}", table, ("rule", *made.parameters.get(op, {})))
    return made.set({f"{op}.{key}": table[key] for op, table in given.items() for key in table if key != "rule"})
