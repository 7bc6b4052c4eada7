"""Fine-tunes a text classifier: `python train.py --config configs/sst2.toml --model DIR --data-dir DIR`; see --help."""

from autorel_jax.cli.start import train

if __name__ == "__main__":
    train()
