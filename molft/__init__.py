"""Predict molecular properties from SMILES, starting from a pre-trained graph network.

The public names load on first use (PEP 562), so that ``import molft`` and the worker processes that
only need ``molft.chem`` never pay for importing torch.
"""

from importlib import import_module
from typing import Any

__version__ = "0.4.0"

_HOMES = {
    "load": "molft.use.model",
    "load_encoder": "molft.use.encoders",
    "MoleculeClassifier": "molft.use.estimators",
    "MoleculeRegressor": "molft.use.estimators",
    "finetune": "molft.use.assay",
    "screen": "molft.use.screen",
}
__all__ = [
    "MoleculeClassifier",
    "MoleculeRegressor",
    "__version__",
    "finetune",
    "load",
    "load_encoder",
    "screen",
]


def __getattr__(name: str) -> Any:  # noqa: ANN401  (the type is that of the name asked for)
    """Import a public name from the module that defines it, once."""
    if name not in _HOMES:
        raise AttributeError(f"module 'molft' has no attribute {name!r}; it offers {', '.join(__all__)}")
    globals()[name] = found = getattr(import_module(_HOMES[name]), name)
    return found


def __dir__() -> list[str]:
    """List the public names, loaded or not."""
    return sorted(__all__)
