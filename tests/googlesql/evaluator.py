"""GoogleSQL's own analyser and reference evaluator, called directly: WebAssembly that takes and gives protocol buffers.

The package that carries it makes a Python object of every cell, which is most of the time for tables of thousands of rows.
"""

import ctypes
import sys
from pathlib import Path

import tzdata
from wasmtime import Config, Engine, Linker, Module, Store, WasiConfig
from zetasql.wasi import get_wasm_path
from zetasql.wasi._pb2.zetasql.local_service import local_service_pb2 as messages
from zetasql.wasi._pb2.zetasql.proto.options_pb2 import LanguageOptionsProto
from zetasql.wasi._pb2.zetasql.public import options_pb2 as options
from zetasql.wasi._pb2.zetasql.public.simple_table_pb2 import SimpleTableProto
from zetasql.wasi._pb2.zetasql.public.type_pb2 import TYPE_INT64

# What GoogleSQL can do and BigQuery's reference does not have; without them a timestamp has microseconds, as there.
NOT_IN_BIGQUERY = (
    "AGGREGATE_FILTERING",
    "LATERAL_JOIN",
    "MULTILEVEL_AGGREGATION",
    "MULTILEVEL_AGGREGATION_ON_UDAS",
    "TIMESTAMP_NANOS",
    "TIMESTAMP_PICOS",
    "UUID_TYPE",
)
# Other names of INT64: https://cloud.google.com/bigquery/docs/reference/standard-sql/data-types#integer_types
INTEGERS = ("INT", "SMALLINT", "INTEGER", "BIGINT", "TINYINT", "BYTEINT")
# The word that is reserved there and not by default: https://cloud.google.com/bigquery/docs/reference/standard-sql/lexical
RESERVED = ("QUALIFY",)


class Refused(Exception):
    """GoogleSQL refuses a statement, or it fails when it is evaluated."""


class Evaluator:
    def __init__(self):
        config = Config()
        # Compiling takes 20 s of a processor: once an environment, then it is read from a file.
        cache = Path(sys.prefix) / "wasmtime.toml"
        cache.write_text(f"[cache]\ndirectory = '{Path(sys.prefix) / 'wasmtime'}'\n", encoding="utf-8")
        config.cache = str(cache)
        config.shared_memory = True
        engine = Engine(config)
        surroundings = WasiConfig()
        surroundings.inherit_stderr()
        surroundings.preopen_dir(str(Path(tzdata.__file__).parent / "zoneinfo"), "/usr/share/zoneinfo")
        self.store = Store(engine)
        self.store.set_wasi(surroundings)
        linker = Linker(engine)
        linker.define_wasi()
        self.exports = linker.instantiate(self.store, Module.from_file(engine, get_wasm_path())).exports(self.store)
        self.memory = self.exports["memory"]
        self.function("_initialize")
        self.language = self.language_of_bigquery()

    def language_of_bigquery(self):
        request = messages.LanguageOptionsRequest(maximum_features=True)
        language = self.call("GetLanguageOptions", request, LanguageOptionsProto)
        left_out = {options.LanguageFeature.Value(f"FEATURE_{name}") for name in NOT_IN_BIGQUERY}
        features = [feature for feature in language.enabled_language_features if feature not in left_out]
        return LanguageOptionsProto(
            product_mode=options.PRODUCT_EXTERNAL, enabled_language_features=features, reserved_keywords=RESERVED
        )

    def parse(self, sql):
        """The statements of a script, as syntax."""
        request = messages.ParseRequest(sql_statement=sql, allow_script=True, options=self.language)
        script = self.call("Parse", request, messages.ParseResponse).parsed_script
        return script.statement_list_node.statement_list

    def analyze(self, sql, tables):
        """Type-checks one statement. `tables` are columns by name."""
        request = messages.AnalyzeRequest(sql_statement=sql)
        self.prepare(request, tables)
        self.call("Analyze", request, messages.AnalyzeResponse)

    def query(self, sql, tables):
        """Columns and rows of a query. `tables` are columns and rows by name."""
        request = messages.EvaluateQueryRequest(sql=sql)
        self.prepare(request, {name: columns for name, (columns, _) in tables.items()})
        for name, (_, rows) in tables.items():
            request.table_content[name].table_data.row.extend(rows)
        response = self.call("EvaluateQuery", request, messages.EvaluateQueryResponse)
        return list(response.prepared.columns), list(response.content.table_data.row)

    def modify(self, sql, target, key, tables):
        """The rows that a statement inserts, updates or deletes in `target`. `key` is the position of its column that tells
        rows apart, which the statement does not see; None for an insertion, which needs none."""
        request = messages.EvaluateModifyRequest(sql=sql)
        self.prepare(request, {name: columns for name, (columns, _) in tables.items()})
        if key is not None:
            table = next(table for table in request.simple_catalog.table if table.name == target)
            table.column[key].is_pseudo_column = True
            table.primary_key_column_index.append(key)
        for name, (_, rows) in tables.items():
            request.table_content[name].table_data.row.extend(rows)
        return list(self.call("EvaluateModify", request, messages.EvaluateModifyResponse).content)

    def prepare(self, request, tables):
        request.options.language_options.CopyFrom(self.language)
        request.options.default_timezone = "UTC"
        request.options.error_message_mode = options.ERROR_MESSAGE_MULTI_LINE_WITH_CARET
        request.simple_catalog.name = "bigquery"
        request.simple_catalog.builtin_function_options.language_options.CopyFrom(self.language)
        for name in INTEGERS:
            request.simple_catalog.named_type.add(name=name).type.type_kind = TYPE_INT64
        for name, columns in tables.items():
            request.simple_catalog.table.append(SimpleTableProto(name=name, column=columns))

    def call(self, name, request, response):
        data = request.SerializeToString()
        at = self.function("wasm_malloc", max(len(data), 1))
        size_at = self.function("wasm_malloc", 4)
        try:
            ctypes.memmove(self.address(at), data, len(data))
            answer = self.function(f"ZetaSqlLocalService_{name}", at, len(data), size_at)
            if not answer:
                message = self.read(
                    self.function("wasm_get_last_error"), self.function("wasm_get_last_error_size")
                )
                raise Refused(message.decode("utf-8"))
            data = self.read(answer, int.from_bytes(self.read(size_at, 4), "little"))
            self.function("wasm_free", answer)
        finally:
            self.function("wasm_free", at)
            self.function("wasm_free", size_at)
        return response.FromString(data)

    def function(self, name, *arguments):
        return self.exports[name](self.store, *arguments)

    def address(self, pointer):
        return ctypes.addressof(self.memory.data_ptr().contents) + (pointer & 0xFFFFFFFF)

    def read(self, pointer, size):
        return ctypes.string_at(self.address(pointer), size)
