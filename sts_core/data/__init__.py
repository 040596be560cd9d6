"""Corpora on disk: manifests, the memory-mapped speech cache, and synthetic speech."""
