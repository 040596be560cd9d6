"""Audio codecs: the interface (`base`), the reference codec, and plug-ins for other codecs."""
