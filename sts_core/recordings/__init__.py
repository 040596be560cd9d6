"""A user's own recordings become training data: consent, quality, turns, conversations."""
