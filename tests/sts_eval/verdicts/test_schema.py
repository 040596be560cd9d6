"""The published JSON Schema is the one of the models, and real records satisfy it."""

import json
from collections.abc import Callable

from sts_eval.record import RunRecord
from sts_eval.schema import SCHEMA_FILE, run_schema


def test_the_published_schema_is_current() -> None:
    """After a change of the models: python -m sts_eval.schema."""
    assert json.loads(SCHEMA_FILE.read_text(encoding="utf-8")) == run_schema()


def test_every_key_of_a_record_is_in_the_schema(make_record: Callable[..., RunRecord]) -> None:
    written = json.loads(make_record({"delay_ms": [1.0, None]}).model_dump_json(by_alias=True))
    schema = run_schema()
    assert set(written) == set(schema["properties"])
    assert set(written["estimates"][0]) == set(schema["$defs"]["Estimate"]["properties"])
    assert schema["properties"]["schema"]["const"] == written["schema"]
