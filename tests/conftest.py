"""What every test shares: the real model of the development machines, where it is."""

import os
from pathlib import Path

import pytest

os.environ["HF_HUB_OFFLINE"] = "1"  # read by huggingface_hub when it is imported


@pytest.fixture
def shared():
    """The folder beside the checkout that holds real models and data."""
    folder = Path(__file__).resolve().parents[2] / "shared"
    if not folder.is_dir():
        pytest.skip("no shared/ folder beside the checkout: it holds a real model and real text")
    return folder
