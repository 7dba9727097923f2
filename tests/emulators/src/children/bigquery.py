"""Runs the BigQuery emulator until standard input ends.

The one argument is its settings as JSON. The port it took is printed as JSON when it answers; what it logs goes to
standard error.
"""

import asyncio
import json
import os
import sys

settings = json.loads(sys.argv[1])
ready = os.fdopen(os.dup(1), "w")
os.dup2(2, 1)
# DuckDB keeps its extensions below HOME; those of the emulator stay in its own environment.
os.environ["HOME"] = settings.pop("home")
os.makedirs(os.environ["HOME"], exist_ok=True)

from bqemulator.config import Settings  # noqa: E402
from bqemulator.server import EmulatorServer  # noqa: E402
from duckdb_extensions import import_extension  # noqa: E402

import_extension("spatial")


async def main() -> None:
    server = EmulatorServer(Settings(**settings))
    await server.start()
    print(json.dumps({"port": server.rest_port}), file=ready, flush=True)
    await asyncio.get_running_loop().run_in_executor(None, sys.stdin.read)
    await server.stop()


asyncio.run(main())
