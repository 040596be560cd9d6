"""Pure metric functions: arrays and spans in, numbers out. Nothing here reads files or knows
targets."""
