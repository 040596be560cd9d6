"""What the reference system can do: skills, measured from the audio on held-out voices."""
