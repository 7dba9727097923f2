"""What dbt adds to the names that a template sees, as far as this project uses it, for DuckDB. Read by sqlfluff: see dbt/.sqlfluff."""

from types import SimpleNamespace

from jinja2 import pass_context


@pass_context
def dispatch(context, macro):
    return context.resolve(f"duckdb__{macro}")


adapter = SimpleNamespace(dispatch=dispatch, quote=lambda name: f'"{name}"')

dbt = SimpleNamespace(
    type_bigint=lambda: "bigint",
    type_boolean=lambda: "boolean",
    type_string=lambda: "text",
    type_timestamp=lambda: "timestamp",
)
