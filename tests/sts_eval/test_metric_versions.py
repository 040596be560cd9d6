"""A metric whose code changes must change its version: otherwise `compare` would mix two meanings.

The golden file holds, per metric, its version and a hash of its function and of everything that
function calls in its own module (comments and docstrings aside). After a deliberate change raise
the version in the metric's contract and run `python tests/sts_eval/test_metric_versions.py`.
"""

import ast
import hashlib
import importlib
import json
from pathlib import Path

from sts_eval.probes import KINDS

GOLDEN = Path(__file__).parents[1] / "golden" / "metric_versions.json"


def all_specs():
    return {spec.name: spec for load in KINDS.values() for spec in load().metrics}


def code_hash(path: str) -> str:
    """Hash of a function, of what it calls in its module, and of the module's constants."""
    module, _, name = path.partition(":")
    tree = ast.parse(Path(importlib.import_module(module).__file__).read_text())
    defined = {}
    for node in tree.body:
        if isinstance(node, ast.FunctionDef | ast.ClassDef):
            defined[node.name] = node
        elif isinstance(node, ast.Assign | ast.AnnAssign):
            target = node.targets[0] if isinstance(node, ast.Assign) else node.target
            if isinstance(target, ast.Name):
                defined[target.id] = node
    used, todo = {}, [name]
    while todo:
        current = todo.pop()
        if current in used or current not in defined:
            continue
        node = defined[current]
        for part in ast.walk(node):
            if isinstance(part, ast.FunctionDef | ast.ClassDef) and ast.get_docstring(part):
                part.body = part.body[1:] or [ast.Pass()]
        used[current] = ast.dump(node)
        todo += [part.id for part in ast.walk(node) if isinstance(part, ast.Name)]
    assert name in used, f"{path} does not exist"
    return hashlib.sha256(json.dumps(used, sort_keys=True).encode()).hexdigest()[:16]


def current() -> dict[str, list]:
    return {
        name: [spec.version, code_hash(spec.code)]
        for name, spec in sorted(all_specs().items())
        if spec.code
    }


def test_code_and_version_change_together():
    golden = json.loads(GOLDEN.read_text())
    for name, (version, digest) in current().items():
        assert name in golden, f"{name} is new: write the golden file"
        if digest != golden[name][1]:
            assert version > golden[name][0], f"the code of {name} changed: raise its version"
    assert current() == golden, "run `python tests/sts_eval/test_metric_versions.py`"


def test_the_hash_sees_code_and_not_words(tmp_path, monkeypatch):
    monkeypatch.syspath_prepend(str(tmp_path))
    rest = "    return g(x)\ndef g(x):\n    return LIMIT\n"
    bodies = {
        "words_a": 'LIMIT = 3\ndef f(x):\n    """One."""\n' + rest,
        "words_b": "LIMIT = 3\ndef f(x):\n    # two\n" + rest,
        "words_c": "LIMIT = 4\ndef f(x):\n" + rest,
    }
    for name, body in bodies.items():
        (tmp_path / f"{name}.py").write_text(body)
    a, b, c = (code_hash(f"{name}:f") for name in bodies)
    assert a == b != c


def test_every_metric_explains_itself():
    for spec in all_specs().values():
        assert len(spec.meaning) > 30, spec.name
        assert len(spec.method) > 30, spec.name
        assert len(spec.limits) > 20, spec.name
        if spec.unit == "ms" and spec.clock in ("audio", "heard"):
            assert spec.origin, spec.name
            assert spec.endpoint, spec.name
            assert spec.resolution_ms, spec.name


if __name__ == "__main__":
    GOLDEN.write_text(json.dumps(current(), indent=1, sort_keys=True) + "\n")
