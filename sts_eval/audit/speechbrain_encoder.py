"""A speechbrain speaker encoder from a local folder, for example the published ECAPA-TDNN.

The folder is a download of speechbrain/spkrec-ecapa-voxceleb (Apache-2.0): `hyperparams.yaml` and
the .ckpt files it names. A published `hyperparams.yaml` sends the loader back to the hub; here its
`pretrained_path` is overridden by the folder, and the network is forbidden.

A speechbrain `hyperparams.yaml` names Python classes and runs them: only use a folder you trust, as
you would a program.
"""

from __future__ import annotations

import hashlib
import tempfile
from pathlib import Path
from typing import Any

import numpy as np

from sts_eval.audit.dvectors import to_encoder
from sts_eval.audit.encoders import EncoderError, Vector, unit
from sts_eval.speechbrain import import_speechbrain
from sts_eval.target import Samples


class SpeechbrainEncoder:
    """An encoder that speechbrain can load from a folder, `speechbrain:FOLDER`."""

    def __init__(self, folder: Path) -> None:
        """Raises EncoderError: no such folder, no hyperparams.yaml, or speechbrain refuses it."""
        recipe = folder / "hyperparams.yaml"
        if not recipe.is_file():
            raise EncoderError(f"{folder}: no hyperparams.yaml here, this is no speechbrain model")
        digest = hashlib.sha256()
        for file in [recipe, *sorted(folder.glob("*.ckpt"))]:
            digest.update(file.read_bytes())
        self.name = f"speechbrain:{folder}"
        self.version = f"1-{digest.hexdigest()[:8]}"
        self._model = _load(folder)

    def embed(self, audio: Samples) -> Vector:
        """float32 [S] at 24 kHz -> float32 [D] of unit norm. Raises EncoderError."""
        import torch

        speech = torch.from_numpy(np.array(to_encoder(audio)))[None]  # [1, S]
        with torch.inference_mode():
            return unit(self._model.encode_batch(speech)[0, 0].numpy())


def _load(folder: Path) -> Any:
    import_speechbrain()
    from speechbrain.inference.speaker import EncoderClassifier
    from speechbrain.utils.fetching import FetchConfig, LocalStrategy

    try:
        with tempfile.TemporaryDirectory() as links:
            return EncoderClassifier.from_hparams(
                source=str(folder.resolve()),
                savedir=links,
                overrides={"pretrained_path": str(folder.resolve())},
                run_opts={"device": "cpu"},
                local_strategy=LocalStrategy.SYMLINK,
                fetch_config=FetchConfig(allow_network=False),
            )
    except Exception as error:  # the recipe is a program: anything can go wrong in it
        message = str(error).splitlines()[0] if str(error) else type(error).__name__
        raise EncoderError(f"{folder}: speechbrain cannot load it: {message}") from error
