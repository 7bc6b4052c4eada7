"""The study of docs/study.md: measures what benchmarks/study.toml says, and writes the page with its pictures.

    python benchmarks/study.py --data-dir data --results study

Each part is a .json in --results; one that is there, of the same entry in study.toml, is not measured again, and one
that was stopped goes on. Without --data-dir the page alone is written, from the results.
"""

import argparse
import json
import tomllib
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

from autorel_jax.cli.main import main as autorel
from autorel_jax.faithfulness.config import DEFAULT
from autorel_jax.faithfulness.plot import plot
from autorel_jax.faithfulness.protocols import PROTOCOLS, perturbations
from autorel_jax.faithfulness.tables import (
    ABOUT_MARK,
    LEGEND,
    ONE_MODEL,
    grid,
    marked,
    of_table,
    ranked,
    sanity,
    title,
    verdict,
)

ROOT = Path(__file__).parents[1]
DOCS = ROOT / "docs"
FLAGS = {"text": "--text-column", "pair": "--pair-column", "label": "--label-column", "marks": "--marks-column"}
Study, Part, Record = (Mapping[str, Any],) * 3


def main() -> None:
    """Measures what is missing, and writes the page."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--data-dir", type=Path, metavar="DIR", help="of the texts; without it only the page is made")
    parser.add_argument("--results", type=Path, default=Path("study"), metavar="DIR", help="(default: study)")
    parser.add_argument("--part", action="append", metavar="NAME", help="measure this one alone; repeatable")
    args = parser.parse_args()
    study = tomllib.loads((ROOT / "benchmarks" / "study.toml").read_text("utf-8"))
    args.results.mkdir(parents=True, exist_ok=True)
    for part in study["part"]:
        if args.data_dir and (not args.part or part["name"] in args.part):
            measure(part, args.data_dir, args.results)
    files = {part["name"]: args.results / f"{part['name']}.json" for part in study["part"]}
    records = {name: json.loads(file.read_text("utf-8")) for name, file in files.items() if file.exists()}
    for name, record in records.items():
        if record["curves"]:
            plot(record, picture(name))
    (DOCS / "study.md").write_text(page(study, records), encoding="utf-8")


def measure(part: Part, data: Path, results: Path) -> None:
    """Writes the results of a part, unless they are there."""
    output, asked = results / f"{part['name']}.json", results / f"{part['name']}.part"
    if output.exists() and asked.exists() and json.loads(asked.read_text("utf-8")) == part:
        return
    file = data / part["data"]
    if part.get("half"):
        file = every_second_row(file, results / f"{part['name']}{file.suffix}")
    if code := autorel(["evaluate", str(file), *arguments(part, data), "--output", str(output)]):
        raise SystemExit(code)
    asked.write_text(json.dumps(part), encoding="utf-8")


def every_second_row(file: Path, copy: Path) -> Path:
    """The second, fourth, … row of a table with a line for each, and its header, as a file of its own."""
    head, *rows = file.read_text("utf-8").splitlines(keepends=True)
    copy.write_text("".join([head, *rows[1::2]]), encoding="utf-8")
    return copy


def picture(name: str) -> Path:
    """The picture of a part."""
    return DOCS / f"study-{name}.png"


def arguments(part: Part, folder: Path) -> Iterator[str]:
    """The arguments of `autorel evaluate` for a part."""
    for name, column in part.get("columns", {}).items():
        yield from (FLAGS[name], column)
    for name in ("model", "masked_model"):
        if name in part:
            yield from (f"--{name.replace('_', '-')}", str(folder / part[name]))
    for name in ("limit", "naopc_texts", "max_length", "seed", "format", "input_columns"):
        if name in part:
            yield from (f"--{name.replace('_', '-')}", str(part[name]))
    for name in ("methods", "protocols", "perturb"):
        if name in part:
            yield from (f"--{name}", ",".join(part[name]))


def page(study: Study, records: Mapping[str, Record]) -> str:
    """The text of docs/study.md."""
    parts = [part for part in study["part"] if part["name"] in records]
    sections = [section(part, records[part["name"]]) for part in parts]
    head = (
        f"# {study['title']}\nWritten by `python benchmarks/study.py` from its results; edit `benchmarks/study.toml`."
    )
    when = "## What to use when" + (f"\n{study['advice'].strip()}" if study.get("advice") else "")
    found = [
        head,
        study["about"].strip(),
        "\n\n".join([when, summary(records)]),
        "\n\n".join(["## Targets", *targets(study, records)]),
        *sections,
        "\n\n".join(["## How to read the tables", LEGEND, ONE_MODEL, f"\\{ABOUT_MARK}"]),
    ]
    return "\n\n".join(found) + "\n"


def summary(records: Mapping[str, Record]) -> str:
    """Of every method, in how many of all shown numbers it is better than the default method, worse, or neither."""
    counts: dict[str, list[int]] = {}
    for record in records.values():
        for row in shown(record):
            if (found := verdict(row, "minus_default")) is not None and not marked(
                record, row["method"], row["protocol"]
            ):
                counts.setdefault(row["method"], [0, 0, 0])[1 - found] += 1
    rows = [["method", f"better than {DEFAULT}", "not told apart", "worse"]]
    rows += [[f"`{name}`", *map(str, found)] for name, found in sorted(counts.items(), key=lambda one: -one[1][0])]
    note = "Methods that take words away themselves are counted only where nothing is taken away."
    return (
        f"Numbers of all tables below in which a method differs beyond its interval of 95 %. {note}\n\n{markdown(rows)}"
    )


def shown(record: Record) -> Iterator[Mapping[str, Any]]:
    """The entries of the results that are in tables."""
    names = {measure.name for one in PROTOCOLS.values() for measure in one.measures if measure.shown}
    yield from (row for row in record["results"] if row["measure"] in names)


def targets(study: Study, records: Mapping[str, Record]) -> Iterator[str]:
    """Each target, met or not, with its number: the default method minus the other, in the same texts."""
    rows = [["part", "measure", f"{DEFAULT} minus …", "difference", "n", "met"]]
    for target in study.get("target", []):
        for part in target["parts"]:
            for perturbation in perturbations(target["protocol"], target["perturb"]):
                for method in target.get("better_than", target.get("reported")):
                    label = [part, f"{target['measure']}, {perturbation}", f"`{method}`"]
                    row = None
                    if part in records:
                        row = of_table(records[part], target["protocol"], perturbation).get((method, target["measure"]))
                    rows.append([*label, *difference(row, "better_than" in target)])
    yield markdown(rows) if len(rows) > 1 else "There are none."


def difference(row: Mapping[str, Any] | None, wanted: bool) -> list[str]:
    """The last cells of a target."""
    if row is None or row["minus_default"]["low"] is None:
        return ["–", "–", "not measured"]
    minus = row["minus_default"]
    text = f"{-minus['mean']:.3f} [{-minus['high']:.3f} {-minus['low']:.3f}]"
    said = {-1: "yes", 0: "no: the interval holds 0", 1: "no"}[verdict(row, "minus_default")]
    return [text, str(minus["n"]), said if wanted else "reported"]


def section(part: Part, record: Record) -> str:
    """The tables of a part, what is best in each, and its picture."""
    facts = f"{record['texts']} texts, {record['units']}s, seed {record['seed']}; model `{record['model']['name']}`"
    if record["masked_model"]:
        masked = record["masked_model"]
        facts += (
            f", measured on `{masked['name']}`, which predicts the same for {masked['same_prediction']['mean']:.1%}"
        )
        facts += f" of the texts (the target's probability differs by {masked['probability_change']['mean']:.3f})"
    blocks = [f"## {part['title']}\n{facts}."]
    for protocol in record["protocols"]:
        for perturbation in perturbations(protocol, record["perturbations"]):
            head = f"**{title(record, protocol, perturbation)}**: {PROTOCOLS[protocol].about}."
            table = markdown(grid(record, protocol, perturbation))
            blocks.append("\n\n".join([head, table, conclusion(record, protocol, perturbation)]))
    if record.get("sanity"):
        blocks.append("\n".join(["```text", *sanity(record["sanity"]), "```"]))
    if record["curves"]:
        blocks.append(f"![The curves of {part['title']}]({picture(part['name']).name})")
    return "\n\n".join(blocks)


def conclusion(record: Record, protocol: str, perturbation: str) -> str:
    """Where the default method loses, and what cannot be told apart from it."""
    found, said = of_table(record, protocol, perturbation), []
    for measure in PROTOCOLS[protocol].measures:
        if measure.shown:
            order = ranked(record["methods"], found, measure)
            by = {1: [], 0: [], -1: []}
            for method in order:
                if (one := verdict(found[method, measure.name], "minus_default")) is not None:
                    by[one].append(f"`{method}`")
            if not any(by.values()):
                continue
            better = f"better than `{DEFAULT}`: {', '.join(by[1])}" if by[1] else f"none is better than `{DEFAULT}`"
            same = f"; not told apart from it: {', '.join(by[0])}" if by[0] else ""
            said.append(f"{measure.name}: {better}{same}")
    return "\n".join(f"- {one}." for one in said)


def markdown(rows: Sequence[Sequence[str]]) -> str:
    """A table."""
    head, *body = (f"| {' | '.join(row)} |" for row in rows)
    return "\n".join([head, "|---" * len(rows[0]) + "|", *body])


if __name__ == "__main__":
    main()
