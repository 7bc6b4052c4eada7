"""What every test shares: the real model of the development machines, where it is."""

import os
from pathlib import Path

import pytest
from models import write_model

from autorel_jax.classifier import load

os.environ["HF_HUB_OFFLINE"] = "1"  # read by huggingface_hub when it is imported


@pytest.fixture
def shared():
    """The folder beside the checkout that holds real models and data."""
    folder = Path(__file__).resolve().parents[2] / "shared"
    if not folder.is_dir():
        pytest.skip("no shared/ folder beside the checkout: it holds a real model and real text")
    return folder


@pytest.fixture(scope="session")
def model_folder(tmp_path_factory):
    """A directory with a tiny random classifier (labels negative, neutral, positive) and the test vocabulary."""
    folder = tmp_path_factory.mktemp("models") / "tiny"
    write_model(folder)
    return folder


@pytest.fixture(scope="session")
def classifier(model_folder):
    """The classifier of `model_folder`."""
    return load(model_folder)
