"""Causal layers with explicit streaming state, and the vector quantisers."""
