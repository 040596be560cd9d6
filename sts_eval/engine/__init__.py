"""The engine: runs scenarios in supervised processes and scores the traces on all cores."""
