"""The study of docs/study.md: measures what benchmarks/study.toml says, and writes the page with its pictures.

    python benchmarks/study.py --data-dir data --results study

Each part is a .json in --results, and the models that are trained for it are there too; what is there, of the same
entry in study.toml, is not made again, and what was stopped goes on. The numbers that the page shows are kept in
benchmarks/study/; without --data-dir the page and its pictures alone are made, from these.
"""

import argparse
import json
import shutil
import tomllib
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

from study_models import as_asked, asked_file, call, fine_tune, trained
from study_page import DOCS, ROOT, Entry, page, picture, shown
from study_texts import write_halves, write_swapped

from autorel_jax.builtin import BUILTIN
from autorel_jax.cli.memory import keep_freed_memory
from autorel_jax.faithfulness.plot import plot
from autorel_jax.files import write_text

KEPT = ROOT / "benchmarks" / "study"
# Of the results of a part, what is kept as it is.
KEYS = ("texts", "units", "seed", "protocols", "perturbations", "curves", "sanity")
OF_MASKED = ("same_prediction", "probability_change")
DECIMALS = 9
MODELS = ("model", "masked_model")  # of a part, by the names of study.toml


def main() -> None:
    """Measures what is missing, and writes the page."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--data-dir", type=Path, metavar="DIR", help="of the texts; without it only the page is made")
    parser.add_argument("--results", type=Path, default=Path("study"), metavar="DIR", help="(default: study)")
    parser.add_argument("--part", action="append", metavar="NAME", help="measure this one alone; repeatable")
    args = parser.parse_args()
    keep_freed_memory()  # which a command does in a process of its own
    study = tomllib.loads((ROOT / "benchmarks" / "study.toml").read_text("utf-8"))
    args.results.mkdir(parents=True, exist_ok=True)
    models = {model["name"]: model for model in study["model"]}
    for part in parts_of(study):
        if args.data_dir and (not args.part or part["name"] in args.part):
            of_part = [models[part[kind]] for kind in MODELS if kind in part]
            for model in of_part:
                fine_tune(model, args.data_dir, args.results)
            measure(part, of_part, args.data_dir, args.results)
            keep(part["name"], args.results)
    records = kept(study)
    for name, record in records.items():
        if record["curves"]:
            plot(record, picture(name))
    (DOCS / "study.md").write_text(page(study, records), encoding="utf-8")


def parts_of(study: Entry) -> list[Entry]:
    """The parts, with the usual methods where they name none."""
    return [{"methods": study["methods"]} | part for part in study["part"]]


def keep(name: str, results: Path) -> None:
    """Writes of the results of a part what the page and its picture show, without the paths of a machine."""
    record = json.loads(results_file(name, results).read_text("utf-8"))
    methods = {method: {"looks_at_deletions": one["looks_at_deletions"]} for method, one in record["methods"].items()}
    masked = record["masked_model"] and {key: record["masked_model"][key] for key in OF_MASKED}
    of_page = {"methods": methods, "masked_model": masked, "planted": record.get("planted")}
    found = rounded({key: record[key] for key in KEYS} | of_page | {"results": list(shown(record))})
    fields = [f"{json.dumps(key)}: {laid(value)}" for key, value in found.items()]
    write_text(KEPT / f"{name}.json", "{\n" + ",\n".join(fields) + "\n}\n")


def laid(value: Any) -> str:
    """As JSON, each entry of a list on a line of its own."""
    return "[\n" + ",\n".join(map(json.dumps, value)) + "\n]" if isinstance(value, list) else json.dumps(value)


def rounded(value: Any) -> Any:
    """JSON with numbers to so many decimals."""
    if isinstance(value, dict):
        return {key: rounded(one) for key, one in value.items()}
    if isinstance(value, list):
        return [rounded(one) for one in value]
    return round(value, DECIMALS) if isinstance(value, float) else value


def kept(study: Entry) -> dict[str, Any]:
    """What is kept of each part that was measured."""
    files = {part["name"]: KEPT / f"{part['name']}.json" for part in study["part"]}
    return {name: json.loads(file.read_text("utf-8")) for name, file in files.items() if file.exists()}


def results_file(name: str, results: Path) -> Path:
    """The results of a part."""
    return results / f"{name}.json"


def measure(part: Entry, models: Sequence[Entry], data: Path, results: Path) -> None:
    """Writes the results of a part, unless they are there."""
    output, asked = results_file(part["name"], results), [part, *models]
    if as_asked(output, asked):
        return
    (plant if "plant" in part else evaluate)(part, data / part["data"], results)
    asked_file(output).write_text(json.dumps(asked), encoding="utf-8")


def evaluate(part: Entry, file: Path, results: Path) -> None:
    """Measures on texts of a file."""
    output, more = results_file(part["name"], results), []
    if part.get("half"):
        half, others = (results / f"{part['name']}{end}" for end in (file.suffix, f".references{file.suffix}"))
        write_halves(file, half, others, part.get("references", 0))
        file, more = half, ["--references", str(others)] if "references" in part else []
    if "swaps" in part:
        table, file = file, output.with_suffix(".pairs.jsonl")
        write_swapped(table, file, part["columns"], part["swaps"])
    call("evaluate", file, *arguments(part, results), *more, "--output", output)


def plant(part: Entry, data: Path, results: Path) -> None:
    """Trains a model that follows planted words, and measures on texts with these."""
    run, config = results / "models" / part["name"], ROOT / "configs" / part["config"]
    flags = ["--config", config, "--model", BUILTIN, "--data-dir", data, "--output", run, "--resume", *part["flags"]]
    measured = ["--methods", ",".join(part["methods"]), "--test-texts", part["limit"]]
    call("plant", "--kind", part["plant"], *flags, *measured)
    shutil.copyfile(run / "planted.json", results_file(part["name"], results))


def arguments(part: Entry, results: Path) -> Iterator[str]:
    """The arguments of `autorel evaluate` for a part."""
    for name, column in part.get("columns", {}).items():
        yield from (f"--{name}-column", column)
    for name in MODELS:
        if name in part:
            yield from (f"--{name.replace('_', '-')}", str(trained(part[name], results)))
    for name in ("limit", "naopc_texts", "max_length", "batch_size", "seed", "format", "input_columns"):
        if name in part:
            yield from (f"--{name.replace('_', '-')}", str(part[name]))
    if part.get("sanity"):
        yield "--sanity"
    for name in ("methods", "protocols", "perturb"):
        if name in part:
            yield from (f"--{name}", ",".join(part[name]))


if __name__ == "__main__":
    main()
