"""BigQuery as far as dbt's statements need it: tables in memory, and every statement run by GoogleSQL's reference evaluator.

GoogleSQL parses, type-checks and evaluates; what is done here is to keep the tables. It evaluates no `merge`, which is split
into the update and the insertion that it stands for, and it knows tables by one name, so `project`.`dataset`.`table` becomes
`project.dataset.table`, which BigQuery reads alike. Partitions, clustering and options are only type-checked.
"""

import re
import threading
from dataclasses import dataclass, field

from evaluator import Refused
from zetasql.wasi._pb2.zetasql.local_service.local_service_pb2 import EvaluateModifyResponse, TableData
from zetasql.wasi._pb2.zetasql.public.simple_table_pb2 import SimpleColumnProto
from zetasql.wasi._pb2.zetasql.public.type_pb2 import TypeKind

DELETE = EvaluateModifyResponse.Row.Operation.Value("DELETE")
COLUMNS_OF_A_DATASET = "INFORMATION_SCHEMA.COLUMNS"


class NotFound(Exception):
    """There is no such dataset, table or view."""


@dataclass
class Table:
    columns: list
    rows: list


@dataclass
class View:
    columns: list
    query: str


@dataclass
class Result:
    """What a script ended with: the kind of its last statement, and the rows of a query or how many another one changed."""

    kind: str
    columns: list = field(default_factory=list)
    rows: list = field(default_factory=list)
    affected: int = 0


class Warehouse:
    def __init__(self, evaluator, project):
        self.evaluator = evaluator
        self.project = project
        self.datasets = {}
        self.views_read = {}
        self.in_transaction = False
        # dbt asks from several threads.
        self.lock = threading.RLock()

    def relation(self, dataset, name):
        try:
            return self.datasets[dataset][name]
        except KeyError:
            raise NotFound(f"{self.project}.{dataset}.{name} was not found")

    def write(self, dataset, name, relation):
        if dataset not in self.datasets:
            raise NotFound(f"the dataset {self.project}.{dataset} was not found")
        self.datasets[dataset][name] = relation
        self.views_read.clear()

    def drop(self, dataset, name):
        self.datasets[dataset].pop(name, None)
        self.views_read.clear()

    def read(self, dataset, name):
        """Columns and rows of a table or view."""
        with self.lock:
            if name == COLUMNS_OF_A_DATASET:
                return self.columns_of(dataset)
            relation = self.relation(dataset, name)
            if isinstance(relation, Table):
                return relation.columns, relation.rows
            if (dataset, name) not in self.views_read:
                self.views_read[dataset, name] = self.evaluator.query(*self.ready(relation.query))
            return self.views_read[dataset, name]

    def columns_of(self, dataset):
        rows = []
        for name, relation in sorted(self.datasets[dataset].items()):
            for position, found in enumerate(relation.columns, 1):
                row = TableData.Row()
                row.cell.add().string_value = name
                row.cell.add().string_value = found.name
                row.cell.add().int64_value = position
                rows.append(row)
        kinds = {"table_name": "STRING", "column_name": "STRING", "ordinal_position": "INT64"}
        return [column(name, kind) for name, kind in kinds.items()], rows

    def run(self, script):
        """Runs the statements of a script; what the last one gave."""
        with self.lock:
            result = Result("SCRIPT")
            statements = self.evaluator.parse(script)
            source = script.encode("utf-8")
            for statement in statements:
                kind, node = concrete(statement)
                result = getattr(self, kind, self.unknown)(Statement(self.project, source, node))
            return result if len(statements) == 1 else Result("SCRIPT")

    def unknown(self, statement):
        raise Refused(f"this stand-in for BigQuery does not run: {statement.text(statement.node)}")

    def ready(self, text):
        """A query with the tables that it reads."""
        names = re.findall(f"`({re.escape(self.project)}[.][^`]+)`", text)
        return text, {name: self.read(*self.split(name)) for name in names}

    def split(self, name):
        return name.removeprefix(self.project + ".").split(".", 1)

    # Statements, by the names of their nodes.

    def ASTQueryStatement(self, statement):
        columns, rows = self.evaluator.query(*self.ready(statement.text(statement.node)))
        return Result("SELECT", columns, rows)

    def ASTCreateTableStatement(self, statement):
        columns, rows = self.created(statement, View)
        self.write(*self.split(statement.name(statement.part("name"))), Table(columns, rows))
        return Result("CREATE_TABLE_AS_SELECT", affected=len(rows))

    def ASTCreateViewStatement(self, statement):
        columns, _ = self.created(statement, Table)
        view = View(columns, statement.text(statement.part("query")))
        self.write(*self.split(statement.name(statement.part("name"))), view)
        return Result("CREATE_VIEW")

    def created(self, statement, refused):
        """What the query of a definition gives. The definition as a whole is type-checked as well."""
        name = statement.name(statement.part("name"))
        dataset, table = self.split(name)
        if self.in_transaction:
            raise Refused(f"{name}: no definition can stand in a transaction")
        if isinstance(self.datasets.get(dataset, {}).get(table), refused):
            raise Refused(f"{name} is a {refused.__name__.lower()}, which a definition of another kind does not replace")
        text, tables = self.ready(statement.text(statement.part("query")))
        whole = statement.text(statement.node)
        self.evaluator.analyze(whole, {name: columns for name, (columns, _) in tables.items()})
        return self.evaluator.query(text, tables)

    def ASTDropStatement(self, statement):
        dataset, name = self.split(statement.name(statement.part("name")))
        if not statement.node.is_if_exists:
            self.relation(dataset, name)
        self.drop(dataset, name)
        return Result("DROP_TABLE")

    def ASTBeginStatement(self, _):
        self.in_transaction = True
        return Result("BEGIN_TRANSACTION")

    def ASTCommitStatement(self, _):
        self.in_transaction = False
        return Result("COMMIT_TRANSACTION")

    def ASTInsertStatement(self, statement):
        target, table, text, tables = self.target(statement)
        inserted = self.evaluator.modify(text, target, None, tables)
        self.insert(target, table, [TableData.Row(cell=row.cell) for row in inserted])
        return Result("INSERT", affected=len(inserted))

    def insert(self, target, table, rows):
        self.write(*self.split(target), Table(table.columns, table.rows + rows))

    def ASTDeleteStatement(self, statement):
        target, table, text, tables = self.target(statement)
        return Result("DELETE", affected=self.change(target, table, text, tables))

    def ASTUpdateStatement(self, statement):
        target, table, text, tables = self.target(statement)
        return Result("UPDATE", affected=self.change(target, table, text, tables))

    def target(self, statement):
        target = statement.name(concrete(statement.part("target_path"))[1])
        table = self.relation(*self.split(target))
        if not isinstance(table, Table):
            raise Refused(f"{target} is a view")
        return target, table, *self.ready(statement.text(statement.node))

    def change(self, target, table, text, tables):
        """Runs an update or a deletion: rows are told apart by their number."""
        numbered = []
        for number, row in enumerate(table.rows):
            numbered.append(TableData.Row(cell=row.cell))
            numbered[-1].cell.add().int64_value = number
        key = len(table.columns)
        tables = {**tables, target: ([*table.columns, column("row__", "INT64")], numbered)}
        changes = self.evaluator.modify(text, target, key, tables)
        rows = dict(enumerate(table.rows))
        for changed in changes:
            number = changed.old_primary_key[0].int64_value
            if changed.operation == DELETE:
                del rows[number]
            else:
                rows[number] = TableData.Row(cell=changed.cell[:key])
        self.write(*self.split(target), Table(table.columns, list(rows.values())))
        return len(changes)

    def ASTMergeStatement(self, statement):
        target, table, whole, tables = self.target(statement)
        self.evaluator.analyze(whole, {name: columns for name, (columns, _) in tables.items()})
        alias = statement.node.alias.identifier.id_string or self.split(target)[1]
        source = statement.text(statement.part("table_expression"))
        condition = statement.text(statement.part("merge_condition"))
        update, inserted = None, []
        for clause in statement.node.when_clauses.clause_list:
            action = clause.action
            wanted = f"({statement.text(clause.search_condition)})" if clause.HasField("search_condition") else "true"
            if action.HasField("update_item_list") and update is None:
                assignments = statement.text(action.update_item_list)
                update = f"update `{target}` as {alias} set {assignments} from {source} where ({condition}) and {wanted}"
            elif action.HasField("insert_row") and not inserted:
                values = ", ".join(statement.text(value) for value in action.insert_row.values)
                known = f"select 1 from `{target}` as {alias} where {condition}"
                query = f"select {values} from {source} where {wanted} and not exists ({known})"
                names = [identifier.id_string.lower() for identifier in action.insert_column_list.identifiers]
                # Asked before the update: the clauses of a merge see the table as it was.
                _, rows = self.evaluator.query(*self.ready(query))
                empty = TableData.Row().cell.add()
                for row in rows:
                    cells = dict(zip(names, row.cell))
                    inserted.append(TableData.Row(cell=[cells.get(made.name.lower(), empty) for made in table.columns]))
            else:
                self.unknown(statement)
        updated = self.change(target, table, *self.ready(update)) if update else 0
        self.insert(target, self.relation(*self.split(target)), inserted)
        return Result("MERGE", affected=updated + len(inserted))


class Statement:
    """A statement of a script, with the places of its parts in the text."""

    def __init__(self, project, source, node):
        self.project = project
        self.source = source
        self.node = node

    def part(self, name):
        """A field of the node or of what it derives from."""
        node = self.node
        while name not in node.DESCRIPTOR.fields_by_name:
            node = node.parent
        return getattr(node, name)

    def name(self, path):
        return ".".join(part.id_string for part in path.names)

    def text(self, node):
        """The text of a node, with one name for each table."""
        _, node = concrete(node)
        start, end = span(node)
        pieces, at = [], start
        for (path_start, path_end), name, alias in sorted(self.tables(node)):
            pieces += [self.source[at:path_start].decode("utf-8"), f"`{name}`", f" as `{alias}`" if alias else ""]
            at = path_end
        return "".join([*pieces, self.source[at:end].decode("utf-8")])

    def tables(self, node, without_alias=False):
        """Paths of tables below a node; with the alias that BigQuery gives a table that has none."""
        kind = node.DESCRIPTOR.name
        if kind == "ASTPathExpressionProto" and node.names[0].id_string.split(".")[0] == self.project:
            name = self.name(node)
            yield span(node), name, name.rpartition(".")[2] if without_alias else None
            return
        for found, value in node.ListFields():
            if found.message_type is None or found.name == "parse_location_range":
                continue
            bare = kind == "ASTTablePathExpressionProto" and found.name == "path_expr" and not node.HasField("alias")
            for child in value if found.is_repeated else [value]:
                yield from self.tables(child, bare)


def concrete(node):
    """The kind of a node, and the node itself, of one that may be of several kinds."""
    while "node" in node.DESCRIPTOR.oneofs_by_name:
        node = getattr(node, node.WhichOneof("node"))
    return node.DESCRIPTOR.name.removesuffix("Proto"), node


def span(node):
    while "parse_location_range" not in node.DESCRIPTOR.fields_by_name:
        node = node.parent
    return node.parse_location_range.start, node.parse_location_range.end


def column(name, kind):
    made = SimpleColumnProto(name=name)
    made.type.type_kind = TypeKind.Value(f"TYPE_{kind}")
    return made
