"""What speech says: teachers, the causal student encoder and its losses."""
