"""The same jobs from Python: scikit-learn's conventions on lists of SMILES."""

import sys

from molft import MoleculeRegressor, load_encoder

SMILES = [
    "CCO",
    "CCCO",
    "CCCCO",
    "c1ccccc1O",
    "CC(=O)O",
    "CCN",
    "c1ccccc1",
    "CCCCCC",
    "CC(C)O",
    "CCOC(C)=O",
] * 3
SOLUBILITY = [1.1, 0.6, 0.0, -0.0, 1.2, 1.3, -1.6, -3.8, 0.4, -0.0] * 3  # log mol/l, roughly


def main(epochs: int = 20) -> None:
    """Fit on a few molecules, predict, and show what happens to a string that is no molecule."""
    model = MoleculeRegressor(epochs=epochs, ensemble_size=1, valid_size=0.2, trees=100)
    model.fit(SMILES, SOLUBILITY)
    for text, value in zip(
        ["CCCCCO", "not a molecule"], model.predict(["CCCCCO", "not a molecule"]), strict=True
    ):
        print(f"{text}: {value:.2f}")
    vectors = load_encoder("default").embed(["CCO", "c1ccccc1"])
    print(f"embedding: {vectors.shape[0]} molecules x {vectors.shape[1]} numbers")


if __name__ == "__main__":
    main(*(int(word) for word in sys.argv[1:]))
