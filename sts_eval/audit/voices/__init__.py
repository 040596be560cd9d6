"""The registry of enrolled people: who they are, how they sound, and what they consented to.

Voice embeddings are biometric data. They lie beside the registry in one safetensors file for each
person, are used only until they expire, are deleted by `sts-eval audit forget`, and are never
written to a report or sent anywhere.
"""
