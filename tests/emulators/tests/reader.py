"""What a reader does with Google's client for Python, and a writer too. The argument is the endpoint."""

import io
import sys

from google.api_core.client_options import ClientOptions
from google.api_core.exceptions import Conflict, PreconditionFailed
from google.auth.credentials import AnonymousCredentials
from google.cloud import bigquery

client = bigquery.Client(
    project="emulated",
    credentials=AnonymousCredentials(),
    client_options=ClientOptions(api_endpoint=sys.argv[1]),
)
dataset = bigquery.Dataset("emulated.python_client")
dataset.location = "EU"
client.create_dataset(dataset)

# Jobs, results and pages.
client.query("create table python_client.t as select * from unnest(generate_array(1, 25)) as n").result()
assert [row.n for row in client.query_and_wait("select n from python_client.t order by n", page_size=10)] == list(range(1, 26))
assert sum(row.n for row in client.list_rows("emulated.python_client.t")) == 325
assert client.get_table("python_client.t").num_rows == 25
dry = client.query("select n from python_client.t", job_config=bigquery.QueryJobConfig(dry_run=True))
assert dry.total_bytes_processed == 200, dry.total_bytes_processed
job = client.query("select @x", job_id="python-1", job_config=bigquery.QueryJobConfig(
    query_parameters=[bigquery.ScalarQueryParameter("x", "INT64", 7)]))
assert [tuple(row) for row in job.result()] == [(7,)]
try:
    client.query("select 1", job_id="python-1", job_retry=None, retry=None)
    raise SystemExit("a job id was taken twice")
except Conflict:
    pass
assert client.get_job("python-1", location=job.location).state == "DONE"

# The client sends the ETag it has seen.
one, other = client.get_dataset("python_client"), client.get_dataset("python_client")
one.labels = {"cycle": "1"}
client.update_dataset(one, ["labels"])
other.labels = {"cycle": "2"}
try:
    client.update_dataset(other, ["labels"])
    raise SystemExit("a stale ETag was accepted")
except PreconditionFailed:
    pass

# Views, and uploads from this machine.
view = bigquery.Table("emulated.python_client.v")
view.view_query = "select max(n) as most from `emulated.python_client.t`"
client.create_table(view)
assert [row.most for row in client.query_and_wait("select most from python_client.v")] == [25]
config = bigquery.LoadJobConfig(
    source_format=bigquery.SourceFormat.CSV, skip_leading_rows=1, write_disposition="WRITE_TRUNCATE",
    schema=[bigquery.SchemaField("a", "INTEGER"), bigquery.SchemaField("b", "STRING")],
)
load = client.load_table_from_file(io.BytesIO(b"a,b\n1,x\n2,y\n"), "emulated.python_client.u", job_config=config)
assert load.result().output_rows == 2
assert {table.table_id for table in client.list_tables("python_client", page_size=2)} == {"t", "u", "v"}
assert "python_client" in {dataset.dataset_id for dataset in client.list_datasets()}
client.delete_dataset("python_client", delete_contents=True)
print("read")
