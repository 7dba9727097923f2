"""Builds a dbt project for BigQuery on GoogleSQL's reference evaluator and compares every relation with what DuckDB made.

    check.py --dbt FOLDER --worker FILE --before SLOT --after SLOT

The slots are DuckDB files of two cycles of the retail pipeline, the second of which brought in one more partition. dbt itself
runs, by the pipeline's own worker and with BigQuery's adapter: only the client below the adapter is replaced (client.py).
First all models are built from what the first slot has in `raw`; then, over copies of their tables, from what the second one
has there and in `changes`. After each run every relation must have the columns and rows that DuckDB's has, and so must the
`changes` that models leave.

Exits with 1 when anything differs or fails.
"""

import argparse
import datetime
import importlib.util
import os
import sys
import tempfile
import time
from collections import Counter
from itertools import zip_longest

import duckdb
from client import install, kind, values
from evaluator import Evaluator
from warehouse import Table, Warehouse, column
from zetasql.wasi._pb2.zetasql.local_service.local_service_pb2 import TableData

PROJECT = "a-project"
BEFORE, AFTER = "retail_blue_1_before_", "retail_green_2_after_"
MAXIMUM_BYTES = 1 << 30

# DuckDB's types, the types that BigQuery has instead, and how a value becomes a cell. Timestamps are UTC on both.
TYPES = {
    "BOOLEAN": ("BOOL", lambda cell, value: setattr(cell, "bool_value", value)),
    "BIGINT": ("INT64", lambda cell, value: setattr(cell, "int64_value", value)),
    "VARCHAR": ("STRING", lambda cell, value: setattr(cell, "string_value", value)),
    "DATE": ("DATE", lambda cell, value: setattr(cell, "date_value", (value - datetime.date(1970, 1, 1)).days)),
    "TIMESTAMP": ("TIMESTAMP", lambda cell, value: cell.timestamp_value.FromDatetime(value)),
}

# Columns that dbt fills and that can't be equal, with the reason. One that is equal after all fails the check.
DIFFERENT = {"dbt_scd_id": "a hash over a timestamp's text, which ends in +00 on BigQuery only"}

# What the two engines answer differently: a comparison that takes these for equal would find nothing.
UNLIKE = (
    "select cast(cast(2.5 as {double}) as {bigint}) as a",
    "select first_value(a) over (order by a) as a from (select cast(1 as {bigint}) as a union all select null) as t",
    "select cast(extract(dayofweek from date '2025-08-03') as {bigint}) as a",
    "select cast(timestamp '2025-08-01 00:00:00' as {varchar}) as a",
)
ON_DUCKDB = {"double": "double", "bigint": "bigint", "varchar": "varchar"}
ON_BIGQUERY = {"double": "float64", "bigint": "int64", "varchar": "string"}


def main():
    parser = argparse.ArgumentParser()
    for name in ("--dbt", "--worker", "--before", "--after"):
        parser.add_argument(name, required=True)
    arguments = parser.parse_args()
    # Only what this program says goes to standard output: dbt says everything a second time.
    report = os.fdopen(os.dup(1), "w", buffering=1, encoding="utf-8")
    os.dup2(os.open(os.devnull, os.O_WRONLY), 1)
    with tempfile.TemporaryDirectory() as folder:
        check = Check(arguments, folder, report)
        check.build_from_nothing()
        check.build_increment()
        check.run_tests()
        check.look_at_jobs()
        check.tell_engines_apart()
    check.say(f"{check.equal} relations equal, {check.wrong} faults, {time.perf_counter() - check.started:.0f} s")
    sys.exit(1 if check.wrong else 0)


class Check:
    def __init__(self, arguments, folder, report):
        self.started = time.perf_counter()
        self.report = report
        self.equal = self.wrong = 0
        self.before, self.after = Slot(arguments.before), Slot(arguments.after)
        self.evaluator = Evaluator()
        self.warehouse = Warehouse(self.evaluator, PROJECT)
        self.jobs = install(self.warehouse)
        self.worker = worker(arguments, folder)
        self.worker.parse(folder, None)
        self.nodes, self.tests = {}, {}
        manifest = self.worker.manifest
        for key, node in {**manifest.nodes, **manifest.unit_tests}.items():
            if node.resource_type in ("model", "seed", "snapshot"):
                self.nodes[key] = node.alias
            elif node.resource_type in ("test", "unit_test"):
                self.tests[key] = node.depends_on.nodes

    def build_from_nothing(self):
        self.say("built from nothing")
        self.make_datasets(BEFORE, self.before)
        self.run(BEFORE)
        self.compare(BEFORE, self.before, self.before.layers)

    def build_increment(self):
        self.say("one more partition")
        self.make_datasets(AFTER, self.after)
        for name in self.after.tables("changes"):
            if name.startswith("raw__"):
                self.warehouse.write(AFTER + "changes", name, self.after.table("changes", name))
        for layer in self.before.layers:
            for name, relation in self.warehouse.datasets[BEFORE + layer].items():
                if isinstance(relation, Table):
                    self.warehouse.write(AFTER + layer, name, relation)
        # No channel is new in these days: a version is taken away, so that the snapshot's merge has one to insert.
        snapshots, name = AFTER + "snapshots", "snp_channels"
        snapshot = self.warehouse.relation(snapshots, name)
        self.warehouse.write(snapshots, name, Table(snapshot.columns, snapshot.rows[1:]))
        self.run(AFTER)
        self.compare(AFTER, self.after, [*self.after.layers, "changes"])

    def run_tests(self):
        found = self.failed_tests(list(self.tests))
        for name, message in found.items():
            self.fail(f"{name}: {message}")
        self.say(f"{len(self.tests)} tests ran, {len(found)} failed")
        # A row that stands twice.
        sales = f"`{PROJECT}`.`{AFTER}mart`.`fct_sales`"
        self.warehouse.run(f"insert into {sales} select * from {sales} limit 1")
        found = self.failed_tests([test for test, read in self.tests.items() if "model.retail.fct_sales" in read])
        self.say(f"with a sale twice, these failed: {', '.join(sorted(found))}")
        for expected in ("fct_sales_sale_key", "marts_keep_every_sale"):
            if not any(expected in name for name in found):
                self.fail(f"no test of {expected} fails although a sale stands twice")

    def look_at_jobs(self):
        """That every job can be found in a bill, and has a limit."""
        bare = [job for job in self.jobs if job.labels.get("cycle") != "1" or not job.labels.get("model")]
        if bare:
            self.fail(f"{len(bare)} jobs do not say cycle and model; the labels of the first one: {bare[0].labels}")
        free = [job for job in self.jobs if job.maximum_bytes_billed != MAXIMUM_BYTES]
        if free:
            limit = free[0].maximum_bytes_billed
            self.fail(f"{len(free)} jobs may read more than {MAXIMUM_BYTES} bytes; the limit of the first one: {limit}")
        self.say(f"{len(self.jobs)} jobs ran, {len(bare)} without labels, {len(free)} without their limit")

    def tell_engines_apart(self):
        """That the comparison sees what is known to differ."""
        for query in UNLIKE:
            with duckdb.connect() as connection:
                expected = content(connection, query.format(**ON_DUCKDB))
            made = decoded(*self.evaluator.query(query.format(**ON_BIGQUERY), {}))
            if not difference_of_columns(expected, made) and not difference_of_rows(expected, made):
                self.fail(f"the comparison takes this for equal, which it is not: {query}")
        self.say(f"{len(UNLIKE)} expressions, known to differ between the engines, were told apart")

    def failed_tests(self, tests):
        results = self.worker.test(self.place(AFTER), tests, {})["results"]
        if len(results) != len(tests):
            self.fail(f"{len(results)} of {len(tests)} tests were run")
        return {result["id"].split(".")[2]: result["message"] for result in results if result["status"] != "pass"}

    def place(self, prefix):
        on_bigquery = {"project": PROJECT, "location": "US", "labels": {"cycle": "1"}}
        on_bigquery |= {"emulator": None, "impersonate": None, "maximum_bytes_billed": MAXIMUM_BYTES}
        schemas = {key: prefix + self.before.layer_of(alias) for key, alias in self.nodes.items()}
        return {"bigquery": on_bigquery, "schemas": schemas, "sources": prefix + "raw", "changes": prefix + "changes"}

    def make_datasets(self, prefix, slot):
        """Makes the datasets of an attempt, with what the slot has in `raw`."""
        for layer in ("raw", "changes", *slot.layers):
            self.warehouse.datasets[prefix + layer] = {}
        for name in slot.tables("raw"):
            self.warehouse.write(prefix + "raw", name, slot.table("raw", name))

    def run(self, prefix):
        for result in self.worker.run(self.place(prefix), list(self.nodes), [], {})["results"]:
            if result["status"] != "success":
                self.fail(f"{result['id']}: {result['status']} {result['message']}")

    def compare(self, prefix, slot, layers):
        for layer in layers:
            made, expected = set(self.warehouse.datasets[prefix + layer]), set(slot.tables(layer))
            for name in sorted(made ^ expected):
                self.fail(f"{layer}.{name} is there on {'BigQuery' if name in made else 'DuckDB'} only")
            for name in sorted(name for name in made & expected if not name.startswith("raw__")):
                table = decoded(*self.warehouse.read(prefix + layer, name))
                self.compare_tables(f"{layer}.{name}", slot.content(layer, name), table)

    def compare_tables(self, name, expected, made):
        found = difference_of_columns(expected, made)
        for at, declared in enumerate(expected[0]):
            if found is None and declared.name in DIFFERENT:
                if {row[at] for row in expected[1]} & {row[at] for row in made[1]}:
                    found = f"{declared.name} is declared to differ and does not: {DIFFERENT[declared.name]}"
                expected, made = without(at, expected), without(at, made)
        found = found or difference_of_rows(expected, made)
        if found is None:
            self.equal += 1
            self.say(f"  equal {len(made[1]):6} rows  {name}")
        else:
            self.fail(f"{name}: {found}")

    def fail(self, message):
        self.wrong += 1
        self.say(f"  FAULT {message}")

    def say(self, line):
        print(line, file=self.report)


class Slot:
    """The DuckDB file of one cycle."""

    def __init__(self, path):
        self.connection = duckdb.connect(path, read_only=True)
        found = self.connection.execute("select table_schema, table_name from information_schema.tables").fetchall()
        self.names = sorted(found)
        self.layers = sorted({schema for schema, _ in found} - {"raw", "changes", "live"})

    def tables(self, schema):
        return [name for of, name in self.names if of == schema]

    def layer_of(self, name):
        return next(schema for schema, other in self.names if other == name and schema in self.layers)

    def content(self, schema, name):
        return content(self.connection, f'from "{schema}"."{name}"')

    def table(self, schema, name):
        """A table as GoogleSQL takes it."""
        columns, rows = self.content(schema, name)
        of_type = dict(TYPES.values())
        encoders = [of_type[kind(column)] for column in columns]
        encoded = []
        for row in rows:
            encoded.append(TableData.Row())
            for value, encode in zip(row, encoders):
                cell = encoded[-1].cell.add()
                if value is not None:
                    encode(cell, value)
        return Table(columns, encoded)


def content(connection, query):
    """Columns, of GoogleSQL's types, and rows of a query of DuckDB."""
    relation = connection.sql(query)
    columns = []
    for name, of_type in zip(relation.columns, map(str, relation.types)):
        if of_type not in TYPES:
            raise ValueError(f"{query}: the column {name} is of type {of_type}, for which check.py has no line in TYPES")
        columns.append(column(name, TYPES[of_type][0]))
    moments = [at for at, found in enumerate(columns) if kind(found) == "TIMESTAMP"]
    rows = []
    for row in map(list, relation.fetchall()):
        for at in moments:
            row[at] = row[at] and row[at].replace(tzinfo=datetime.timezone.utc)
        rows.append(tuple(row))
    return columns, rows


def decoded(columns, rows):
    return columns, [values(columns, row) for row in rows]


def difference_of_columns(expected, made):
    """The first column in which two tables differ; None when there is none."""
    types = ([(column.name, kind(column)) for column in columns] for columns, _ in (expected, made))
    for theirs, ours in zip_longest(*types):
        if theirs != ours:
            return f"the column {theirs} of DuckDB is {ours} on BigQuery"
    return None


def difference_of_rows(expected, made):
    """How the rows of two tables differ, whatever their order; None when they do not."""
    missing, excess = Counter(expected[1]) - Counter(made[1]), Counter(made[1]) - Counter(expected[1])
    if not missing and not excess:
        return None
    names = [column.name for column in expected[0]]
    text = f"{missing.total()} rows on DuckDB only, {excess.total()} on BigQuery only"
    for engine, rows in (("DuckDB", missing), ("BigQuery", excess)):
        if rows:
            first = min(rows, key=lambda row: [(value is not None, value) for value in row])
            shown = ", ".join(f"{name}={value}" for name, value in zip(names, first))
            text += f"\n        the first one on {engine}: {shown}"
    return text


def without(at, table):
    columns, rows = table
    return columns[:at] + columns[at + 1 :], [row[:at] + row[at + 1 :] for row in rows]


def worker(arguments, folder):
    """The pipeline's own worker, in this process."""
    specification = importlib.util.spec_from_file_location("worker", arguments.worker)
    module = importlib.util.module_from_spec(specification)
    specification.loader.exec_module(module)
    settings = {"folder": folder, "log_dir": folder, "project_dir": arguments.dbt, "target": "bigquery"}
    return module.Worker({**settings, "target_name": "prod", "threads": 1, "vars": {}})


if __name__ == "__main__":
    main()
