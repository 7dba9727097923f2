"""The part of Google's BigQuery client that dbt's adapter uses, over a warehouse in memory. All above it is dbt as it is."""

import datetime

from evaluator import Refused
from google.api_core import exceptions
from google.cloud.bigquery import DatasetReference, Table as ClientTable
from google.cloud.bigquery.dataset import DatasetListItem
from google.cloud.bigquery.schema import SchemaField
from google.cloud.bigquery.table import Row, TableListItem
from warehouse import NotFound, View
from zetasql.wasi._pb2.zetasql.public.type_pb2 import TypeKind

# GoogleSQL's types by the names that the REST interface has for them, with how a cell becomes a value of Python.
REST_TYPES = {
    "BOOL": ("BOOLEAN", lambda cell: cell.bool_value),
    "INT64": ("INTEGER", lambda cell: cell.int64_value),
    "STRING": ("STRING", lambda cell: cell.string_value),
    "DATE": ("DATE", lambda cell: datetime.date(1970, 1, 1) + datetime.timedelta(days=cell.date_value)),
    "TIMESTAMP": ("TIMESTAMP", lambda cell: cell.timestamp_value.ToDatetime(tzinfo=datetime.timezone.utc)),
}


def install(warehouse):
    """Makes dbt's adapter work on the warehouse; the configurations of its jobs are noted in the list that is returned."""
    from dbt.adapters.bigquery import connections

    jobs = []
    connections.create_bigquery_client = lambda _: Client(warehouse, jobs)
    return jobs


class Client:
    def __init__(self, warehouse, jobs):
        self.warehouse = warehouse
        self.jobs = jobs

    def query(self, query, job_config, **_):
        self.jobs.append(job_config)
        try:
            return Job(self.warehouse.project, self.warehouse.run(query))
        except Refused as refused:
            raise exceptions.BadRequest(str(refused), errors=[{"message": str(refused), "reason": "invalidQuery"}])
        except NotFound as missing:
            raise exceptions.NotFound(str(missing), errors=[{"message": str(missing), "reason": "notFound"}])

    def list_datasets(self, **_):
        found = []
        for name in self.warehouse.datasets:
            found.append(DatasetListItem({"datasetReference": {"projectId": self.warehouse.project, "datasetId": name}}))
        return found

    def list_tables(self, dataset, **_):
        if not isinstance(dataset, DatasetReference) or dataset.dataset_id not in self.warehouse.datasets:
            raise exceptions.NotFound(f"{dataset} was not found")
        names = self.warehouse.datasets[dataset.dataset_id]
        return [TableListItem(self.description(dataset.dataset_id, name)) for name in names]

    def list_routines(self, *_, **__):
        return []

    def get_routine(self, reference, **_):
        raise exceptions.NotFound(f"{reference} was not found")

    def get_table(self, table):
        if isinstance(table, Destination):
            return table
        dataset, name = table.dataset_id, table.table_id
        try:
            columns, rows = self.warehouse.read(dataset, name)
            description = self.description(dataset, name)
        except NotFound as missing:
            raise exceptions.NotFound(str(missing))
        schema = [field.to_api_repr() for field in fields(columns)]
        return ClientTable.from_api_repr({**description, "schema": {"fields": schema}, "numRows": str(len(rows))})

    def delete_table(self, table, **_):
        self.warehouse.drop(table.dataset_id, table.table_id)

    def close(self):
        pass

    def description(self, dataset, name):
        kind = "VIEW" if isinstance(self.warehouse.relation(dataset, name), View) else "TABLE"
        reference = {"projectId": self.warehouse.project, "datasetId": dataset, "tableId": name}
        return {"tableReference": reference, "type": kind}


class Destination:
    """Where BigQuery leaves what a job gave."""

    def __init__(self, schema, rows):
        self.schema = schema
        self.num_rows = rows


class Job:
    total_bytes_processed = total_bytes_billed = slot_millis = 0
    location = job_id = None
    # Nobody here says what a query has read: the project is one of which DuckDB has shown that it reads nothing by name.
    referenced_tables = ()

    def __init__(self, project, result):
        self.project = project
        self.statement_type = result.kind
        self.num_dml_affected_rows = result.affected
        self.schema = fields(result.columns)
        self.values = [values(result.columns, row) for row in result.rows]
        self.destination = Destination(self.schema, len(self.values) or result.affected)

    def result(self, max_results=None, **_):
        return Rows(self.schema, self.values[:max_results])


class Rows:
    def __init__(self, schema, rows):
        self.schema = schema
        self.positions = {field.name: position for position, field in enumerate(schema)}
        self.rows = rows

    def __iter__(self):
        return (Row(row, self.positions) for row in self.rows)


def fields(columns):
    return [SchemaField(column.name, REST_TYPES[kind(column)][0]) for column in columns]


def values(columns, row):
    """A row as values of Python."""
    of_column = [REST_TYPES[kind(column)][1] for column in columns]
    return tuple(value(cell) if cell.WhichOneof("value") else None for value, cell in zip(of_column, row.cell))


def kind(column):
    name = TypeKind.Name(column.type.type_kind).removeprefix("TYPE_")
    if name not in REST_TYPES:
        raise Refused(f"the column {column.name} is of type {name}, for which client.py has no line in REST_TYPES")
    return name
