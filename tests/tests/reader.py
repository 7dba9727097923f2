"""Reads every live view of the emulated cloud until standard input ends, without a single retry. The argument is the endpoint."""

import json
import sys
import threading

from google.api_core.client_options import ClientOptions
from google.auth.credentials import AnonymousCredentials
from google.cloud import bigquery

client = bigquery.Client(
    project="emulated",
    credentials=AnonymousCredentials(),
    client_options=ClientOptions(api_endpoint=sys.argv[1]),
)
ended = threading.Event()
threading.Thread(target=lambda: (sys.stdin.read(), ended.set()), daemon=True).start()


def read(sql):
    return [tuple(row) for row in client.query(sql, retry=None, job_retry=None).result(retry=None, job_retry=None)]


reads, cycles, views, filled = 0, [], set(), set()
is_last = False
while not is_last:
    is_last = ended.is_set()
    names = {table.table_id for table in client.list_tables("live", retry=None)}
    assert names >= views, f"views are gone: {views - names}"
    views = names
    for view in sorted(views):
        [(rows,)] = read(f"select count(*) from live.{view}")
        # Nothing that readers have seen is ever taken away whole; a few customers may have bought no two products together.
        assert rows > 0 or view not in filled, f"{view} is empty"
        filled |= {view} if rows else set()
        reads += 1
    [(cycle,)] = read("select cycle from live.deployment")
    assert not cycles or cycle >= cycles[-1], f"cycle {cycle} after {cycles}"
    if cycle not in cycles:
        cycles.append(cycle)
    # The emulator does one thing at a time, and somebody else is to get on.
    ended.wait(3)
print(json.dumps({"reads": reads, "cycles": cycles, "views": sorted(views)}))
