"""The published JSON Schema of run.json (`sts_eval/run.schema.json`), generated from the models.

python -m sts_eval.schema     writes the file; a test keeps it equal to the models
"""

from __future__ import annotations

from pathlib import Path
from typing import Any

from sts_eval.record import SCHEMA, RunRecord
from sts_eval.trace import write_json_atomic

SCHEMA_FILE = Path(__file__).with_name("run.schema.json")


def run_schema() -> dict[str, Any]:
    """JSON Schema (2020-12) of a run record as it is written."""
    schema = RunRecord.model_json_schema(by_alias=True, mode="serialization")
    # The constant stands in the schema, so that a validator refuses other versions of the format.
    schema["properties"]["schema"]["const"] = SCHEMA
    return {"$schema": "https://json-schema.org/draft/2020-12/schema", **schema}


if __name__ == "__main__":
    write_json_atomic(SCHEMA_FILE, run_schema())
