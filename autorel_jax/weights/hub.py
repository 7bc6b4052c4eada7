"""Hub: the name of a model on the Hugging Face hub -> a local directory with the files that we read.

Only one kind of weights is downloaded. Without a connection the hub's own cache answers. The only importer of
huggingface_hub; used by checkpoint.py.
"""

import re
from pathlib import Path

from autorel_jax.errors import InputError, one_line
from autorel_jax.text.classes import VOCABULARIES
from autorel_jax.weights.files import CONFIGS, choose

TIMEOUT = 10  # seconds for the first answer of the hub
SMALL_FILES = (
    *CONFIGS,
    *VOCABULARIES,
    "merges.txt",
    "tokenizer_config.json",
    "special_tokens_map.json",
    "added_tokens.json",
    "adapter_config.json",
    "modules.json",
    "*_Pooling/config.json",
    "*_Normalize/config.json",
    "*_Dense/*",
    "sentence_*_config.json",
    "config_sentence_transformers.json",
    "config_setfit.json",
)
NAME = re.compile(r"[A-Za-z0-9][\w.-]*(/[A-Za-z0-9][\w.-]*)?", re.ASCII)
FILE_SUFFIXES = (".bin", ".pt", ".pth", ".safetensors", ".msgpack", ".ckpt", ".index", ".json", ".txt")


def is_name(path: str) -> bool:
    """Whether it can be a hub name: `name` or `organisation/name`, and not a path below a local folder."""
    local = "/" in path and Path(path).parent.is_dir()
    return bool(NAME.fullmatch(path)) and not path.endswith(FILE_SUFFIXES) and not local


def fetch(name: str, revision: str | None = None) -> Path:
    """Downloads what is not in the cache yet, and returns the snapshot's directory.

    Raises:
      InputError: no such model or revision, no access to it, no connection and nothing in the cache.
    """
    from huggingface_hub import HfApi, errors, snapshot_download

    at = f"{name} (revision {revision})" if revision else name
    try:
        # One request that is never repeated; the download's own would be, for 23 s.
        listed = HfApi().model_info(name, revision=revision, timeout=TIMEOUT).siblings or []
        patterns = wanted([file.rfilename for file in listed], at)
        return Path(snapshot_download(name, revision=revision, allow_patterns=patterns))
    except errors.GatedRepoError:
        raise InputError(f"{at} is gated on the hub: ask for access on its page, then `hf auth login`.") from None
    except errors.RepositoryNotFoundError:
        raise InputError(
            f"{at} is neither a local path nor a public model on the hub; for a private one, `hf auth login`."
        ) from None
    except errors.RevisionNotFoundError:
        raise InputError(f"{name} on the hub has no revision {revision!r}; give a branch, a tag or a commit.") from None
    except InputError:
        raise
    except Exception as error:  # of whichever HTTP library this huggingface_hub stands on
        return cached(name, revision, one_line(error))


def cached(name: str, revision: str | None, reason: str) -> Path:
    """The snapshot in the local cache; `reason` says why it is asked."""
    from huggingface_hub import snapshot_download

    try:
        # The config alone is asked for: the other files need not all be there, and `locate` says what lacks.
        found = snapshot_download(name, revision=revision, allow_patterns=list(CONFIGS), local_files_only=True)
    except Exception:  # the same
        at = f" at revision {revision}" if revision else ""
        raise InputError(
            f"{name} is no local path, the hub did not deliver it ({reason}), and it is not in the cache{at}."
        ) from None
    return Path(found)


def wanted(names: list[str], place: str) -> list[str]:
    """The files to download, among a model's on the hub; patterns for the shards of an index."""
    weights = choose((name for name in names if "/" not in name), place)
    parts = []
    if weights.endswith(".index.json"):
        stem, suffix = weights.removesuffix(".index.json").rsplit(".", 1)
        parts = [f"{stem}-*.{suffix}"]
    elif weights.endswith(".index"):
        parts = [f"{weights.removesuffix('.index')}.data-*"]
    return [weights, *parts, *SMALL_FILES]
