"""Speech recognition for checking what was said; the model comes in a wheel."""
