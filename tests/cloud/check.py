"""Shows on a real project what emulators can't show: the items of docs/cloud-checklist.md, one function each.

BGP_PROJECT, BGP_LOCATION and application default credentials say where; BGP_LIVE_READER, a service account that may be
impersonated and has no rights of its own, as whom `live` is read. BGP_CLOUD_PROGRAM is the program for the checks of the whole
chain. Everything is made in datasets and in a bucket of this run's own, and dropped at its end. It costs some cents.

With BGP_BIGQUERY_ENDPOINT and BGP_STORAGE_ENDPOINT it runs against emulators, which shows that the checks themselves work.
"""

import concurrent.futures
import io
import os
import pathlib
import subprocess
import sys
import tempfile
import time
import uuid

SKIPPED = 77
REPOSITORY = pathlib.Path(__file__).parents[2]
PROJECT, LOCATION = os.environ.get("BGP_PROJECT"), os.environ.get("BGP_LOCATION")
BIGQUERY, STORAGE = os.environ.get("BGP_BIGQUERY_ENDPOINT"), os.environ.get("BGP_STORAGE_ENDPOINT")
RUN = "bgp_check_" + uuid.uuid4().hex[:8]


def skip(reason):
    print(f"the checks on a real project did not run: {reason}")
    sys.exit(SKIPPED)


if not PROJECT or not LOCATION:
    skip("BGP_PROJECT and BGP_LOCATION name no project; docs/cloud-checklist.md says what they would show")

import google.auth
import pyarrow
import pyarrow.parquet
from google.api_core.client_options import ClientOptions
from google.api_core.exceptions import Conflict, Forbidden, GoogleAPICallError, PreconditionFailed
from google.auth import impersonated_credentials
from google.auth.credentials import AnonymousCredentials
from google.cloud import bigquery, storage
from google.resumable_media import InvalidResponse

if BIGQUERY:
    credentials = AnonymousCredentials()
    buckets = storage.Client(PROJECT, credentials, client_options=ClientOptions(api_endpoint=STORAGE))
else:
    try:
        credentials, _ = google.auth.default(["https://www.googleapis.com/auth/cloud-platform"])
    except google.auth.exceptions.DefaultCredentialsError as error:
        skip(f"{error}")
    buckets = storage.Client(PROJECT, credentials)


def client_of(credentials):
    options = ClientOptions(api_endpoint=BIGQUERY) if BIGQUERY else None
    return bigquery.Client(PROJECT, credentials, location=LOCATION, client_options=options)


client = client_of(credentials)
bucket = buckets.bucket(RUN)
CHECKS = []


class NotShown(Exception):
    """Something that a check needs is not given here."""


def check(function):
    CHECKS.append(function)
    return function


def dataset(name, **properties):
    made = bigquery.Dataset(f"{PROJECT}.{RUN}_{name}")
    made.location = LOCATION
    for key, value in properties.items():
        setattr(made, key, value)
    client.create_dataset(made)
    return made.dataset_id


def run(sql, **settings):
    config = bigquery.QueryJobConfig(**settings)
    job = client.query(sql, job_config=config)
    return job, list(job.result()) if not settings.get("dry_run") else []


def one(sql):
    return list(run(sql)[1][0].values())[0]


def refused(error, words, work):
    try:
        work()
    except error as found:
        assert words.lower() in str(found).lower(), f"refused in other words: {found}"
        return found
    raise AssertionError(f"it was not refused with {words!r}")


def put(name, table, **options):
    content = io.BytesIO()
    pyarrow.parquet.write_table(table, content, **options)
    bucket.blob(name).upload_from_string(content.getvalue())
    return f"gs://{RUN}/{name}"


def load(uri, table, schema, disposition="WRITE_TRUNCATE", **settings):
    config = bigquery.LoadJobConfig(
        source_format="PARQUET", schema=schema, write_disposition=disposition, create_disposition="CREATE_NEVER", **settings
    )
    options = bigquery.format_options.ParquetOptions()
    options.enable_list_inference = True
    config.parquet_options = options
    return client.load_table_from_uri(uri, f"{PROJECT}.{table}", job_config=config).result()


@check
def a_stale_etag_is_refused():
    name = dataset("etag")
    run(f"create view {name}.v as select 1 as a")
    for get, update in [(client.get_dataset, client.update_dataset), (client.get_table, client.update_table)]:
        what = name if get == client.get_dataset else f"{name}.v"
        first, late = get(what), get(what)
        first.description, late.description = "first", "late"
        update(first, ["description"])
        refused(PreconditionFailed, "", lambda: update(late, ["description"]))


@check
def a_job_id_is_taken_once():
    job = client.query("select 1", job_id=RUN, job_retry=None)
    job.result()
    refused(Conflict, "already exists", lambda: client.query("select 1", job_id=RUN, retry=None, job_retry=None))
    assert client.get_job(RUN, location=LOCATION).state == "DONE"


@check
def a_load_replaces_one_partition_and_refuses_rows_of_another():
    name = dataset("load")
    run(f"create table {name}.t (id int64 not null, seen datetime, price numeric(12, 2)) partition by datetime_trunc(seen, day) "
        f"cluster by id")
    made = client.get_table(f"{name}.t")
    made.labels = {"kept": "yes"}
    client.update_table(made, ["labels"])

    def rows(day, number):
        at = [f"2025-08-{day:02}T12:00:00"] * number
        return pyarrow.table({
            "id": pyarrow.array(range(number), pyarrow.int64()),
            # Without a zone: isAdjustedToUTC=false.
            "seen": pyarrow.array([time_of(text) for text in at], pyarrow.timestamp("us")),
            "price": pyarrow.array([None] * number, pyarrow.decimal128(12, 2)),
        })

    schema = [
        bigquery.SchemaField("id", "INTEGER", "REQUIRED"), bigquery.SchemaField("seen", "DATETIME"),
        bigquery.SchemaField("price", "NUMERIC", precision=12, scale=2),
    ]
    decimal = {"decimal_target_types": ["NUMERIC", "BIGNUMERIC"]}
    for day, number in [(1, 3), (2, 5), (1, 7)]:
        # The encodings that extract writes.
        uri = put(f"load/{day}-{number}.parquet", rows(day, number), use_dictionary=False,
                  column_encoding={"id": "DELTA_BINARY_PACKED", "seen": "DELTA_BINARY_PACKED"})
        load(uri, f"{name}.t$202508{day:02}", schema, **decimal)
    assert one(f"select count(*) from {name}.t") == 12
    assert one(f"select count(*) from {name}.t where seen < '2025-08-02'") == 7
    refused(GoogleAPICallError, "partition", lambda: load(uri, f"{name}.t$20250803", schema, **decimal))
    load(uri, f"{name}.t", schema, **decimal)
    table = client.get_table(f"{name}.t")
    assert table.labels == {"kept": "yes"} and table.clustering_fields == ["id"] and table.time_partitioning, table.to_api_repr()


def time_of(text):
    import datetime

    return datetime.datetime.fromisoformat(text)


@check
def dictionaries_and_texts_of_shared_beginnings_are_read():
    name = dataset("encodings")
    run(f"create table {name}.t (a string, b string)")
    texts = [f"prefix-{number:06}" for number in range(10_000)]
    table = pyarrow.table({"a": pyarrow.array(texts), "b": pyarrow.array(["one"] * len(texts)).dictionary_encode()})
    uri = put("encodings.parquet", table, use_dictionary=["b"], column_encoding={"a": "DELTA_BYTE_ARRAY"})
    load(uri, f"{name}.t", [bigquery.SchemaField("a", "STRING"), bigquery.SchemaField("b", "STRING")])
    assert one(f"select count(distinct a) + count(distinct b) from {name}.t") == 10_001


@check
def the_fourth_clone_of_a_chain_is_refused_and_a_copy_starts_again():
    name = dataset("clones")
    run(f"create table {name}.t0 as select 1 as a")
    first = client.get_table(f"{name}.t0")
    first.labels = {"of": "the_first"}
    client.update_table(first, ["labels"])
    for depth in (1, 2, 3):
        run(f"create table {name}.t{depth} clone {name}.t{depth - 1}")
    refused(GoogleAPICallError, "clone", lambda: run(f"create table {name}.t4 clone {name}.t3"))
    client.copy_table(f"{PROJECT}.{name}.t3", f"{PROJECT}.{name}.copy").result()
    run(f"create table {name}.t5 clone {name}.copy")
    print(f"    labels of a clone: {client.get_table(f'{name}.t1').labels}")


@check
def only_a_change_changes_when_a_table_was_modified():
    name = dataset("modified")
    run(f"create table {name}.t as select 1 as a")
    before = client.get_table(f"{name}.t").modified
    time.sleep(1 if BIGQUERY else 60)
    assert client.get_table(f"{name}.t").modified == before
    run(f"insert into {name}.t values (2)")
    assert client.get_table(f"{name}.t").modified > before


@check
def a_query_above_its_budget_is_refused_and_an_estimate_is_a_bound():
    name = dataset("budget")
    run(f"create table {name}.t cluster by a as select n as a, repeat('x', 100) as b from unnest(generate_array(1, 1000000)) as n")
    dry, _ = run(f"select b from {name}.t where a = 7", dry_run=True)
    job, _ = run(f"select b from {name}.t where a = 7", use_query_cache=False)
    assert job.total_bytes_processed <= dry.total_bytes_processed, (job.total_bytes_processed, dry.total_bytes_processed)
    assert [table.table_id for table in dry.referenced_tables] == ["t"], "a dry run names the tables"
    run(f"create view {name}.v as select * from {name}.t")
    behind, _ = run(f"select b from {name}.v")
    print(f"    tables of a query on a view: {[table.table_id for table in behind.referenced_tables]}")
    limit = {"maximum_bytes_billed": 1 << 20, "use_query_cache": False}
    refused(GoogleAPICallError, "limit for bytes billed", lambda: run(f"select a from {name}.t", **limit))


@check
def cancelling_ends_a_job_in_seconds():
    if BIGQUERY:
        raise NotShown("emulators run a query before they answer")
    numbers = "unnest(generate_array(1, 100000))"
    job = client.query(f"select sum(a * b) from {numbers} as a cross join {numbers} as b")
    time.sleep(2)
    client.cancel_job(job.job_id, location=LOCATION)
    started = time.monotonic()
    while not client.get_job(job.job_id, location=LOCATION).done():
        time.sleep(0.5)
    print(f"    after {time.monotonic() - started:.1f} s")


@check
def a_transaction_that_was_overtaken_says_so():
    if BIGQUERY:
        raise NotShown("emulators run one statement after the other")
    name = dataset("transactions")
    run(f"create table {name}.t as select n as a from unnest(generate_array(1, 1000)) as n")
    sql = f"begin transaction; update {name}.t set a = a + 1 where true; commit transaction;"
    with concurrent.futures.ThreadPoolExecutor(8) as pool:
        outcomes = [future.exception() for future in [pool.submit(run, sql) for _ in range(8)]]
    failed = [str(outcome) for outcome in outcomes if outcome]
    assert failed, "none was overtaken"
    assert all("concurrent update" in text for text in failed), failed


@check
def a_required_filter_is_satisfied_by_the_pins_predicates():
    name = dataset("filters")
    run(f"create table {name}.t (seen datetime) partition by datetime_trunc(seen, day) "
        "options (require_partition_filter = true, partition_expiration_days = 4000)")
    run(f"select * from {name}.t where (seen >= datetime '0001-01-01' or seen is null)")
    run(f"create table {name}.c clone {name}.t")
    run(f"alter table {name}.c set options (partition_expiration_days = null, require_partition_filter = false)")
    run(f"select * from {name}.c")


@check
def a_hundred_views_are_patched_at_once():
    name = dataset("views")
    with concurrent.futures.ThreadPoolExecutor(16) as pool:
        list(pool.map(lambda n: run(f"create view {name}.v{n} as select 0 as a"), range(100)))

        def patch(n):
            view = client.get_table(f"{name}.v{n}")
            view.view_query = "select 1 as a"
            client.update_table(view, ["view_query"], retry=None)

        failed = [error for error in (future.exception() for future in [pool.submit(patch, n) for n in range(100)]) if error]
    print(f"    {len(failed)} of 100 were refused at first")
    assert all(isinstance(error, Forbidden) or getattr(error, "code", 0) in (429, 503) for error in failed), failed


@check
def an_authorised_dataset_is_readable_through_views():
    account = os.environ.get("BGP_LIVE_READER")
    if not account or BIGQUERY:
        raise NotShown("BGP_LIVE_READER names nobody to read as")
    live = dataset("live_reader")
    entry = bigquery.AccessEntry(None, "dataset", {
        "dataset": {"projectId": PROJECT, "datasetId": live}, "targetTypes": ["VIEWS"]})
    slot = dataset("slot_reader", access_entries=[bigquery.AccessEntry("OWNER", "specialGroup", "projectOwners"), entry])
    shown = client.get_dataset(live)
    shown.access_entries = [*shown.access_entries, bigquery.AccessEntry("READER", "userByEmail", account)]
    client.update_dataset(shown, ["access_entries"])
    run(f"create table {slot}.t as select 7 as a")
    run(f"create view {live}.v as select a from {slot}.t")
    reader = client_of(impersonated_credentials.Credentials(
        credentials, account, ["https://www.googleapis.com/auth/bigquery"]))
    started = time.monotonic()
    while True:
        try:
            assert [row.a for row in reader.query(f"select a from {PROJECT}.{live}.v").result()] == [7]
            break
        except Forbidden:
            assert time.monotonic() - started < 300, "not readable after five minutes"
            time.sleep(1)
    print(f"    after {time.monotonic() - started:.1f} s")


@check
def an_object_is_made_once():
    blob = bucket.blob("once")
    stream = blob.open("wb", if_generation_match=0, chunk_size=256 << 10)
    stream.write(b"x" * (300 << 10))
    bucket.blob("once").upload_from_string(b"somebody else's")
    refused(InvalidResponse, "412", stream.close)
    assert bucket.blob("once").download_as_bytes() == b"somebody else's"


def program(config, home, *arguments, target=("--target", "emulators" if BIGQUERY else "bigquery")):
    name = os.environ.get("BGP_CLOUD_PROGRAM")
    if not name:
        raise NotShown("BGP_CLOUD_PROGRAM names no program; ./bgp verify --cloud does")
    command = [name, *target, "--config", config, "--home", home, *arguments, "--json"]
    done = subprocess.run(command, env={**os.environ, "BGP_BUCKET": RUN}, capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
    return done.stdout


@check
def two_days_end_in_the_tables_of_duckdb():
    raw, live = dataset("raw"), dataset("live")
    if not any(found.dataset_id == "ops" for found in client.list_datasets()):
        raise NotShown("the project has no dataset ops; Terraform makes it")
    with tempfile.TemporaryDirectory() as folder:
        text = (REPOSITORY / "pipeline.yaml").read_text()
        for old, new in [
            ("scale: 1.0", "scale: 0.01"), ("project: dbt", f"project: {REPOSITORY / 'dbt'}"),
            ("dataset: raw", f"dataset: {raw}"), ("live: {dataset: live}", f"live: {{dataset: {live}, prefix: {RUN}}}"),
        ]:
            assert old in text, old
            text = text.replace(old, new)
        config = pathlib.Path(folder, "pipeline.yaml")
        config.write_text(text)
        days = ["backfill", "--from", "2025-08-01", "--to", "2025-08-02"]
        found = []
        for target in ((), ("--target", "emulators" if BIGQUERY else "bigquery")):
            home = f"{folder}/{len(found)}"
            program(config, home, *days, target=target)
            found.append(program(config, home, "digest", target=target))
        assert found[0] == found[1], found


def clean_up():
    for found in list(client.list_datasets()):
        if found.dataset_id.startswith(RUN):
            client.delete_dataset(found.reference, delete_contents=True, not_found_ok=True)
    for blob in list(buckets.list_blobs(RUN)):
        blob.delete()
    bucket.delete()


def main():
    wanted = sys.argv[1:]
    buckets.create_bucket(bucket, location=LOCATION)
    failed = 0
    try:
        for function in CHECKS:
            if wanted and function.__name__ not in wanted:
                continue
            try:
                function()
                outcome = "ok"
            except NotShown as reason:
                outcome = f"not shown: {reason}"
            except Exception as error:
                failed += 1
                outcome = f"FAILED: {type(error).__name__}: {error}"
            print(f"{function.__name__}: {outcome}", flush=True)
    finally:
        clean_up()
    sys.exit(1 if failed else 0)


main()
