"""The full-duplex language model of the reference system."""
