"""Our EER against speechbrain's, which decides by loops over every threshold.

In a process of its own: speechbrain's lazy modules import whatever they can when they are looked
at, and hypothesis looks at all modules.
"""

import json
import subprocess
import sys

import numpy as np
import pytest

from sts_eval.audit.detection import eer

THEIRS = """
import json, sys
from sts_eval.speechbrain import import_speechbrain
import_speechbrain()
import torch
from speechbrain.utils.metric_stats import EER
sets = json.load(sys.stdin)
print("EERS", json.dumps([EER(torch.tensor(a), torch.tensor(b))[0] for a, b in sets]))
"""


def test_eer_equals_speechbrain() -> None:
    rng = np.random.default_rng(3)
    sets = [
        (rng.normal(1, 1, bona).astype(np.float32), rng.normal(-1, 1, spoof).astype(np.float32))
        for bona, spoof in ((40, 40), (25, 90), (64, 31))
    ]
    sets.append((np.float32([1, 2, 2, 3]), np.float32([0, 1, 2, 2])))  # ties across the classes
    ran = subprocess.run(
        [sys.executable, "-c", THEIRS],
        input=json.dumps([[a.tolist(), b.tolist()] for a, b in sets]),
        capture_output=True,
        text=True,
        check=True,
    )
    theirs = json.loads(ran.stdout.split("EERS", 1)[1])
    assert [eer(a, b).value for a, b in sets] == pytest.approx(theirs, abs=1e-6)
