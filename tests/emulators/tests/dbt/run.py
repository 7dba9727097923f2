"""Runs the project twice, in one process: starting dbt is what takes long. Says which step failed."""

import shutil
import sys

from dbt.cli.main import dbtRunner

STEPS = [
    ["seed"],
    ["run"],
    ["snapshot"],
    ["run", "--vars", "{added: 10}"],
    ["snapshot"],
    ["test"],
    ["clone", "--target", "second", "--state", "state"],
]
runner = dbtRunner()
for step in STEPS:
    if step[0] == "clone":
        # What was built so far, for the clones to be made of.
        shutil.copytree("target", "state")
    result = runner.invoke([*step, "--quiet"])
    if not result.success:
        sys.exit(f"dbt {' '.join(step)} failed: {result.exception or [r.message for r in result.result]}")
