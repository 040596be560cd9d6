"""The one door to speechbrain: call `import_speechbrain()` before importing any part of it."""

from __future__ import annotations

import sys

from sts_core import torchaudio_guard


def import_speechbrain() -> None:
    """Import speechbrain, and take its redirections of old module names out of `sys.modules`.

    Whoever looks at a redirection there, as hypothesis and inspect do at every module, makes it
    import an optional package; where that is missing (k2), the onlooker fails with ImportError.
    """
    torchaudio_guard.prepare()
    import speechbrain  # noqa: F401
    from speechbrain.utils.importutils import LazyModule

    for name, module in list(sys.modules.items()):
        if isinstance(module, LazyModule):
            del sys.modules[name]
