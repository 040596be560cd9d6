"""speechbrain and transformers beside a torchaudio that cannot load, in any order.

In processes of their own, where none of them has been imported yet.
"""

from __future__ import annotations

import subprocess
import sys
from importlib.util import find_spec

import pytest

PROGRAM = """
import sys
import torch
from sts_core import torchaudio_guard
from sts_eval.speechbrain import import_speechbrain

in_place = torchaudio_guard.prepare()
assert torchaudio_guard.prepare() == in_place
if in_place:
    try:
        sys.modules["torchaudio._extension"].lazy_import_sox_ext()
    except RuntimeError as error:
        assert "not loaded" in str(error)
    else:
        raise AssertionError("the stand-in pretended to have the compiled part")

import_speechbrain()
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


BROKEN = """
import importlib.abc, sys

class Breaks(importlib.abc.MetaPathFinder, importlib.abc.Loader):
    def find_spec(self, name, path=None, target=None):
        from importlib.machinery import ModuleSpec
        return ModuleSpec(name, self) if name == "torchaudio._extension" else None

    def exec_module(self, module):
        raise OSError("libcudart.so: cannot open shared object file")

sys.meta_path.insert(0, Breaks())
"""
SPEECHBRAIN = """
from sts_eval.speechbrain import import_speechbrain
import_speechbrain()
from speechbrain.processing.features import STFT
STFT(16_000)
"""
TRANSFORMERS = """
from sts_core.hf import import_transformers
import_transformers("a test").MimiModel
"""


@pytest.mark.parametrize("order", [(SPEECHBRAIN, TRANSFORMERS), (TRANSFORMERS, SPEECHBRAIN)])
def test_any_order_of_imports_with_a_torchaudio_that_cannot_load(order: tuple[str, str]) -> None:
    if find_spec("transformers") is None:
        pytest.skip("extra [hf] is not installed")
    if find_spec("torchaudio") is None:
        pytest.skip("no torchaudio that could fail to load")
    program = BROKEN + "".join(order) + "print('all right')"
    done = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True)
    assert done.stdout.strip() == "all right", done.stderr


def test_speechbrain_parts_work_after_prepare() -> None:
    done = subprocess.run([sys.executable, "-c", PROGRAM], capture_output=True, text=True)
    assert done.stdout.strip() == "all right", done.stderr
