"""SMILES text to packed arrays: RDKit and NumPy only, never torch."""
