"""Config files: `config.json` of a checkpoint <-> BertConfig.

Which keys there are, what they default to and what is refused are facts of the family, and of families/keys.py. Used by
weights/, which reads and writes checkpoints.
"""

from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

from autorel_jax.errors import InputError, one_line
from autorel_jax.families import family_of
from autorel_jax.families.bert import BERT
from autorel_jax.families.family import MASKED, REQUIRED, TEXT_LABELS, Family, Setting
from autorel_jax.families.keys import HARMLESS, OWN_CODE, READ, REFUSALS
from autorel_jax.files import read_json
from autorel_jax.model.config import MULTI, BertConfig, default_labels

SHOWN = 8  # unknown keys in a warning
MOST_LABELS = 2**20  # a larger number is a fault of the file, and would fill the memory with names


def read_model_config(path: Path) -> tuple[BertConfig, tuple[str, ...], dict[str, Any]]:
    """Reads `config.json` (Hugging Face) or `bert_config.json` (Google, the original BERT_LRP).

    Returns:
      The config, what to doubt, and what the file holds.

    Raises:
      InputError: not JSON, or a model of no family that is supported; the message names it.
    """
    raw = read_json(path, "a model needs its config.json or bert_config.json")
    try:
        config = parse_config(raw)
        return config, tuple(f"{path}: {doubt}" for doubt in doubts(raw, config)), raw
    except InputError as error:
        raise InputError(f"{path}: {error}") from None


def parse_config(raw: Mapping[str, Any]) -> BertConfig:
    """A parsed `config.json` -> BertConfig, or an InputError that names what is not supported."""
    model_type = raw.get("model_type", BERT.model_types[0])  # Google's bert_config.json has no such key
    family = family_of(model_type)
    refuse_unsupported(raw, family)
    values = {setting.field: value_of(setting, raw) for setting in family.settings}
    missing = [setting.keys[0] for setting in family.settings if values[setting.field] is REQUIRED]
    if missing:
        raise InputError(f"the config lacks {', '.join(missing)}.")
    labels, problem_type, task = label_names(raw), raw.get("problem_type"), task_of(raw, family)
    details = family.details.read(raw) if family.details else None
    return BertConfig(
        **values,
        labels=labels,
        problem_type=problem_type,
        model_type=model_type,
        task=task,
        own_decoder=task == MASKED and not raw.get("tie_word_embeddings", True),
        details=details,
    )


def task_of(raw: Mapping[str, Any], family: Family) -> str:
    """What the head is for, as the architecture says; without one, it labels texts. One of masked words comes last."""
    tasks = {family.tasks[name]: name for name in raw.get("architectures") or [] if name in family.tasks}
    if len(tasks) > 1:
        raise InputError(f"architectures names several heads, {' and '.join(tasks.values())}; name one.")
    masked = any(family.explained.get(name) == MASKED for name in raw.get("architectures") or [])
    return next(iter(tasks), MASKED if masked else TEXT_LABELS)


def doubts(raw: Mapping[str, Any], config: BertConfig) -> Iterator[str]:
    """What to doubt of a parsed `config.json` that was accepted as that config."""
    family = config.family
    refused = {key for refusal in (*REFUSALS, *family.refusals) for key in refusal.keys}
    known = {key for setting in family.settings for key in setting.keys} | refused
    known |= {*READ, *HARMLESS, *family.harmless, *family.fixed}
    known |= set() if config.details is None else config.details.written().keys()
    unknown = [key for key in raw if key not in known and not key.startswith("_")]
    if unknown:
        listed = ", ".join(map(one_line, unknown[:SHOWN])) + (" …" if len(unknown) > SHOWN else "")
        yield f"unknown keys, which are not read: {listed}; a model that needs them would give other numbers"
    names, ids = raw.get("id2label"), raw.get("label2id")
    if isinstance(names, dict) and raw.get("num_labels") not in (None, len(names)):
        yield f"num_labels={one_line(raw['num_labels'])} contradicts id2label, whose {len(names)} names are used"
    if names is None and isinstance(ids, dict) and ids:
        yield "label2id stands without id2label, and is not read: write the names of labels to id2label"
    if not isinstance(names, dict) or not isinstance(ids, dict):
        return
    by_id = {str(i): str(name) for i, name in names.items()}  # of a config in memory the keys are numbers
    if any(by_id.get(str(i)) != name for name, i in ids.items()):
        yield "label2id contradicts id2label, whose names are used"


def value_of(setting: Setting, raw: Mapping[str, Any]) -> Any:
    """The value of a setting in a parsed `config.json`, or its default; null counts as absent."""
    given = {key: raw[key] for key in setting.keys if raw.get(key) is not None}
    kind, expected = (str, "a name") if setting.field == "hidden_act" else (int | float, "a number")
    for key, value in given.items():
        if not isinstance(value, kind) or isinstance(value, bool):
            raise InputError(f"{key}={value!r}: expected {expected}.")
    if len(set(given.values())) > 1:
        raise InputError(f"{' and '.join(f'{key}={value!r}' for key, value in given.items())} contradict each other.")
    return next(iter(given.values()), setting.default)


def refuse_unsupported(raw: Mapping[str, Any], family: Family) -> None:
    """Raises InputError for an architecture or a setting that the family does not accept."""
    architectures = (*dict.fromkeys(family.classifiers + tuple(family.tasks)), *family.encoders)
    named = raw.get("architectures") or []
    if not isinstance(named, list | tuple):
        raise InputError(f"architectures={named!r}: expected a list of names.")
    for name in named:
        if name not in architectures:
            raise InputError(
                f"architecture {name!r} is not supported; accepted: {', '.join(architectures)}. If it is one of these "
                f"under a name of your own, change the line architectures to {[family.classifiers[0]]}."
            )
    if isinstance(raw.get("auto_map"), dict) and OWN_CODE in raw["auto_map"]:
        raise InputError(
            f"auto_map[{OWN_CODE!r}] names code of the model's own, which is not run; accepted: a model of "
            f"transformers' own {family.classifiers[0]}. If it is one, delete auto_map."
        )
    for refusal in (*REFUSALS, *family.refusals):
        for key in refusal.keys:
            if key in raw and raw[key] not in refusal.accepted:
                raise InputError(f"{key}={raw[key]!r} is not supported; {refusal.advice}.")


def label_names(raw: Mapping[str, Any]) -> tuple[str, ...]:
    """The labels in the order of the logits, from id2label or num_labels; empty where the config is silent."""
    names = raw.get("id2label")
    if names is None:
        count = raw.get("num_labels", 0)
        if not isinstance(count, int) or isinstance(count, bool) or count < 0:
            raise InputError(f"num_labels={count!r}: expected a whole number.")
        if count > MOST_LABELS:
            raise InputError(f"num_labels={one_line(count)}: expected no more than {MOST_LABELS}.")
        return default_labels(count)
    try:
        by_id = {int(key): str(name) for key, name in names.items()}
    except (AttributeError, ValueError):
        raise InputError(f"id2label={names!r}: expected an object of label names by id.") from None
    if len(by_id) < len(names):
        raise InputError(f"id2label={names!r} has one id twice; expected 0, 1, 2, …")
    if sorted(by_id) != list(range(len(by_id))) or not by_id:
        raise InputError(f"id2label has the ids {sorted(by_id)}; expected 0, 1, 2, …")
    return tuple(by_id[i] for i in range(len(by_id)))


def config_json(config: BertConfig) -> dict[str, Any]:
    """BertConfig -> the object that transformers writes as `config.json`."""
    family, labels = config.family, config.labels
    head = {
        "id2label": {str(i): name for i, name in enumerate(labels)},
        "label2id": {name: i for i, name in enumerate(labels)},
        "problem_type": written_problem(config),
    }
    return {
        "architectures": [config.architecture if config.head else family.encoders[0]],
        "model_type": config.model_type,
        **family.fixed,
        **{setting.keys[0]: written(setting, config) for setting in family.settings if setting.keys},
        **(config.details.written() if config.details else {}),
        **(head if labels else {}),
        **({"tie_word_embeddings": not config.own_decoder} if config.task == MASKED else {}),
    }


def written_problem(config: BertConfig) -> str | None:
    """problem_type in config.json.

    transformers refuses single_label_classification with one output; multi-label is the same sigmoid. One output of
    which nothing is known stays so: the pipeline takes its sigmoid, and training regards it as a regression.
    """
    if config.on_tokens:
        return None
    if config.is_sigmoid:
        return MULTI
    return config.problem_type if config.num_labels == 1 else config.problem


def written(setting: Setting, config: BertConfig) -> Any:
    """The value of a setting in config.json. Not every family takes null for the head's dropout."""
    if setting.field == "embedding_size":
        return config.embedding_width
    if setting.field in ("classifier_dropout", "answers_dropout") and setting.default is not None:
        return config.rate(setting.field)
    if setting.field == "embedding_dropout":
        return config.input_dropout
    return getattr(config, setting.field)
