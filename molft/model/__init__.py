"""Tensors to tensors: encoders, readouts, heads."""
