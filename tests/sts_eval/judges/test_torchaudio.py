"""speechbrain beside a CPU-only torch.

In a process of its own, where neither of them has been imported yet.
"""

from __future__ import annotations

import subprocess
import sys

PROGRAM = """
import sys
import torch
from sts_eval import _torchaudio

in_place = _torchaudio.prepare()
assert _torchaudio.prepare() == in_place
if torch.version.cuda is None:
    assert in_place
    try:
        sys.modules["torchaudio._extension"].lazy_import_sox_ext()
    except RuntimeError as error:
        assert "not loaded" in str(error)
    else:
        raise AssertionError("the stand-in pretended to have the compiled part")

_torchaudio.import_speechbrain()
for module in list(sys.modules.values()):
    getattr(module, "__file__", None)  # as hypothesis does; a redirection would import k2

from speechbrain.lobes.models.ECAPA_TDNN import ECAPA_TDNN
from speechbrain.utils.metric_stats import EER, ErrorRateStats

model = ECAPA_TDNN(40, lin_neurons=16, channels=[8] * 4 + [24], attention_channels=8).eval()
with torch.no_grad():
    embedding = model(torch.randn(2, 50, 40))
assert embedding.shape == (2, 1, 16)
assert torch.isfinite(embedding).all()
rate, _ = EER(torch.tensor([0.9, 0.8]), torch.tensor([0.1, 0.2]))
assert rate == 0.0
stats = ErrorRateStats()
stats.append(["a"], [["x", "y"]], [["x", "z"]])
assert stats.summarize("WER") == 50.0
print("all right")
"""


def test_speechbrain_parts_work_after_prepare() -> None:
    done = subprocess.run([sys.executable, "-c", PROGRAM], capture_output=True, text=True)
    assert done.stdout.strip() == "all right", done.stderr
