{#-
  Incremental models that are equal to a full rebuild.

  A model kept as `touched` is made of units: values of one expression over its columns, such as a business date or a key.
  A run computes again the units that a changed row belonged to before or belongs to now, and replaces them whole.

    config(
      materialized='touched',
      unit='order_date',
      rows=['stg_lines', {'ref': 'stg_headers', 'unit': 'cast(ordered_at as date)'}],
      as_of=[{'history': 'stg_products', 'facts': 'stg_lines', 'key': 'product_id', 'at': 'ordered_at'}],
      whole=['exchange_rates'],
    )

  rows   what is read row by row: a changed row touches its unit. Names of touched or rowwise models, or `source.table`.
         `unit` says how to get the unit from its columns where that is not the model's own expression.
  as_of  histories (one row a version, from `valid_from` until before `valid_to`) in which the row valid at a fact's
         time is looked up: a changed version touches the units of the facts in its time. A version that was only closed has not changed:
         `ignore` lists the columns that do not count, `valid_to` and `is_current` if nothing is said.
  whole  what is read in any other way: a change rebuilds the model.

  The body filters its rows by `in_touched('l.order_date')`, as close to its inputs as it can. As compiled the filter is `true`,
  so the compiled query is always the full rebuild; the materialization narrows it.

  On BigQuery `partition_by` and `cluster_by` lay the table out as they do for dbt's own materializations; DuckDB has no use for
  them. A table that is partitioned by its unit is then read and replaced by partitions, because units are literals.

  Beside its table a model leaves `changes.NAME`: the rows that this attempt took away and the rows that it put in, equal ones
  left out. Readers of the model find their units there. A model that was rebuilt leaves `changes.NAME__rebuilt` instead, and
  its readers are rebuilt too. Whoever makes the attempt starts it with an empty `changes`, and puts the old and new rows of
  the changed partitions of a source into `changes.raw__TABLE`.
-#}

{% macro in_touched(unit) -%}
/* in_touched({{ unit }}) */ true
{%- endmacro %}


{% materialization touched, default %}
  {%- set existing = load_cached_relation(this) -%}
  {%- set target = this.incorporate(type='table') -%}
  {%- set inputs = touched_inputs() -%}

  {{ run_hooks(pre_hooks, inside_transaction=False) }}
  {{ run_hooks(pre_hooks, inside_transaction=True) }}

  {%- if existing is none or not existing.is_table or should_full_refresh() or inputs.rebuild -%}
    {%- if existing is not none and not existing.is_table -%}
      {%- do adapter.drop_relation(existing) -%}
    {%- endif -%}
    {%- call statement('main') -%}
      {{ rebuild(target, sql) }}
    {%- endcall -%}
    {%- do mark_rebuilt() -%}
  {%- else -%}
    {%- do replace_touched_units(target, inputs) -%}
  {%- endif -%}

  {{ run_hooks(post_hooks, inside_transaction=True) }}
  {%- do persist_docs(target, model) -%}
  {{ adapter.commit() }}
  {{ run_hooks(post_hooks, inside_transaction=False) }}
  {{ return({'relations': [target]}) }}
{% endmaterialization %}


{#- A view of one relation, row by row, and the same view of that relation's changes. -#}
{% materialization rowwise, default %}
  {%- set target = this.incorporate(type='view') -%}
  {%- set existing = load_cached_relation(this) -%}
  {%- if model.refs | length + model.sources | length != 1 -%}
    {%- do exceptions.raise_compiler_error('a rowwise view reads exactly one relation') -%}
  {%- endif -%}
  {%- set entry = model.refs[0].name if model.refs else model.sources[0] | join('.') -%}
  {%- set columns = columns_of_changes([entry]) -%}
  {%- set changed = columns[changes_name(entry)] -%}
  {%- set rebuilt = columns[changes_name(entry) ~ '__rebuilt'] -%}

  {{ run_hooks(pre_hooks, inside_transaction=False) }}
  {{ run_hooks(pre_hooks, inside_transaction=True) }}

  {%- if existing is not none and not existing.is_view -%}
    {%- do adapter.drop_relation(existing) -%}
  {%- endif -%}
  {%- call statement('main') -%}
    create or replace view {{ target }} as (
      {{ sql }}
    )
  {%- endcall -%}
  {%- if rebuilt or should_full_refresh() -%}
    {%- do mark_rebuilt() -%}
  {%- elif changed -%}
    {%- set over_changes = sql | replace(relation_of(entry) | string, changes_relation(changes_name(entry)) | string) -%}
    {%- if over_changes == sql -%}
      {%- do exceptions.raise_compiler_error(entry ~ ' does not occur in the compiled query of this view') -%}
    {%- endif -%}
    {%- do run_query('create or replace view ' ~ changes_relation(model.name) ~ ' as (' ~ over_changes ~ '\n)') -%}
  {%- endif -%}

  {{ run_hooks(post_hooks, inside_transaction=True) }}
  {%- do persist_docs(target, model) -%}
  {{ adapter.commit() }}
  {{ run_hooks(post_hooks, inside_transaction=False) }}
  {{ return({'relations': [target]}) }}
{% endmaterialization %}


{#- What the model's configuration says, with defaults filled in, and what of it has changed in this attempt. -#}
{% macro touched_inputs() %}
  {%- set unit = config.require('unit') -%}
  {%- set rows = [] -%}
  {%- for entry in config.get('rows', []) -%}
    {%- if entry is string -%}
      {%- do rows.append({'ref': entry, 'unit': unit}) -%}
    {%- else -%}
      {%- do rows.append({'ref': entry.ref, 'unit': entry.get('unit', unit)}) -%}
    {%- endif -%}
  {%- endfor -%}
  {%- set as_of = config.get('as_of', []) -%}
  {%- set whole = config.get('whole', []) -%}
  {%- set names = rows | map(attribute='ref') | list + as_of | map(attribute='history') | list + whole | list -%}
  {%- set columns = columns_of_changes(names) -%}
  {%- set found = namespace(rebuild=false) -%}
  {%- for name in names if columns[changes_name(name) ~ '__rebuilt'] -%}
    {%- set found.rebuild = true -%}
  {%- endfor -%}
  {%- for name in whole if columns[changes_name(name)] -%}
    {%- set some = run_query('select 1 from ' ~ changes_relation(changes_name(name)) ~ ' limit 1') -%}
    {%- if some.rows | length > 0 -%}
      {%- set found.rebuild = true -%}
    {%- endif -%}
  {%- endfor -%}
  {{ return({'unit': unit, 'rows': rows, 'as_of': as_of, 'columns': columns, 'rebuild': found.rebuild}) }}
{% endmacro %}


{#- The incremental run: find the units, compute them anew, note what differs, replace them in one transaction. -#}
{% macro replace_touched_units(target, inputs) %}
  {%- set queries = touched_unit_queries(inputs) -%}
  {%- set units = scratch_relation('units') -%}
  {%- set fresh = scratch_relation('fresh') -%}
  {%- if queries -%}
    {%- do create_scratch(units, 'select distinct unit from (\n' ~ queries | join('\nunion all\n') ~ '\n) as candidates') -%}
  {%- endif -%}
  {%- set touched = read_units(units) if queries else none -%}
  {%- if touched is none -%}
    {%- call statement('main') -%} select 1 as nothing_touched {%- endcall -%}
  {%- else -%}
    {%- do create_scratch(fresh, narrow(sql, touched)) -%}
    {%- set own = is_touched(inputs.unit, touched) -%}
    {%- set columns = adapter.get_columns_in_relation(target) | map(attribute='quoted') | join(', ') -%}
    {#- A run that is repeated finds its table as the first try left it, or as it was: what that try noted still counts. -#}
    {%- set noted = columns_of_changes([model.name])[changes_name(model.name)] -%}
    {%- call statement('changes', auto_begin=True) -%}
      create or replace table {{ changes_relation(model.name) }} as (
        {{ difference(target, fresh, own, columns) }}
        {%- if noted %}
        union distinct
        select {{ columns }} from {{ changes_relation(model.name) }}
        {%- endif %}
      )
    {%- endcall -%}
    {%- call statement('main', auto_begin=True) -%}
      {{ replace_rows(target, fresh, own, columns) }}
    {%- endcall -%}
    {%- do drop_scratch(fresh) -%}
  {%- endif -%}
  {%- if queries -%}
    {%- do drop_scratch(units) -%}
  {%- endif -%}
{% endmacro %}


{#- Queries that give the touched units, as `unit`; none when nothing changed. -#}
{% macro touched_unit_queries(inputs) %}
  {%- set queries = [] -%}
  {%- for entry in inputs.rows if inputs.columns[changes_name(entry.ref)] -%}
    {%- do queries.append('select ' ~ entry.unit ~ ' as unit from ' ~ changes_relation(changes_name(entry.ref))) -%}
  {%- endfor -%}
  {%- for entry in inputs.as_of if inputs.columns[changes_name(entry.history)] -%}
    {%- set ignored = entry.get('ignore', ['valid_to', 'is_current']) -%}
    {%- set counted = [] -%}
    {%- for column in inputs.columns[changes_name(entry.history)] if column not in ignored -%}
      {%- do counted.append(adapter.quote(column)) -%}
    {%- endfor -%}
    {%- set facts = inputs.rows | selectattr('ref', 'equalto', entry.facts) | first -%}
    {%- set query -%}
      select {{ facts.unit }} as unit
      from {{ relation_of(entry.facts) }} as facts
      inner join (
        select {{ entry.key }} as changed_key, valid_from as changed_from, valid_to as changed_to
        from (
          {#- A version that is there before and after differs only in what is ignored. -#}
          select *, count(*) over (partition by {{ counted | join(', ') }}) as images
          from {{ changes_relation(changes_name(entry.history)) }}
        ) as versions
        where images = 1
      ) as changed
        on facts.{{ entry.key }} = changed.changed_key
        and facts.{{ entry.at }} >= changed.changed_from
        and facts.{{ entry.at }} < {{ until('changed.changed_to') }}
    {%- endset -%}
    {%- do queries.append(query) -%}
  {%- endfor -%}
  {{ return(queries) }}
{% endmacro %}


{#- The touched units as `values`, what stands behind `in`, and `has_null`; none when there are none. They are literals while they
    are few, so that partitions are pruned. -#}
{% macro read_units(units) %}
  {%- set limit = 500 -%}
  {%- set type = (adapter.get_columns_in_relation(units) | first).dtype | lower -%}
  {%- set text = 'cast(unit as ' ~ dbt.type_string() ~ ')' -%}
  {%- set found = run_query('select ' ~ text ~ ' as unit, unit is null as is_null from ' ~ units ~ ' order by 2 desc, 1 limit ' ~ (limit + 1)).rows -%}
  {%- set literals = [] -%}
  {%- for row in found if not row[1] -%}
    {%- if type in ['varchar', 'string'] -%}
      {%- do literals.append(string_unit(row[0] | string)) -%}
    {%- else -%}
      {%- do literals.append('cast(' ~ string_unit(row[0] | string) ~ ' as ' ~ type ~ ')') -%}
    {%- endif -%}
  {%- endfor -%}
  {%- if found | length == 0 -%}
    {{ return(none) }}
  {%- endif -%}
  {%- set has_null = found[0][1] -%}
  {%- if found | length > limit or not type in ['date', 'smallint', 'integer', 'bigint', 'int64', 'varchar', 'string'] -%}
    {{ return({'values': 'select unit from ' ~ units ~ ' where unit is not null', 'has_null': has_null}) }}
  {%- endif -%}
  {{ return({'values': literals | join(', '), 'has_null': has_null}) }}
{% endmacro %}

{#- The condition that a unit is touched. -#}
{% macro is_touched(unit, touched) %}
  {%- set conditions = [] -%}
  {%- if touched['values'] -%}
    {%- do conditions.append('(' ~ unit ~ ') in (' ~ touched['values'] ~ ')') -%}
  {%- endif -%}
  {%- if touched.has_null -%}
    {%- do conditions.append('(' ~ unit ~ ') is null') -%}
  {%- endif -%}
  {{ return('(' ~ conditions | join(' or ') ~ ')') }}
{% endmacro %}

{#- The compiled query with its filters made real. -#}
{% macro narrow(query, touched) %}
  {%- set found = modules.re.findall('/\\* in_touched\\((.*?)\\) \\*/ true', query, modules.re.DOTALL) -%}
  {%- if not found -%}
    {%- do exceptions.raise_compiler_error('a touched model filters its rows by in_touched(...)') -%}
  {%- endif -%}
  {%- set narrowed = namespace(query=query) -%}
  {%- for unit in found -%}
    {%- set narrowed.query = narrowed.query | replace(in_touched(unit), is_touched(unit, touched)) -%}
  {%- endfor -%}
  {{ return(narrowed.query) }}
{% endmacro %}


{#- The rows of the touched units that are only in the table or only in its fresh version, each side as often as it has them. -#}
{% macro difference(target, fresh, own, columns) %}
  select {{ columns }}
  from (
    select *, sum(side__) over (partition by {{ columns }}) as balance__
    from (
      select {{ columns }}, -1 as side__ from {{ target }} where {{ own }}
      union all
      select {{ columns }}, 1 as side__ from {{ fresh }}
    ) as both_sides
  ) as balanced
  where balance__ <> 0
{% endmacro %}


{% macro rebuild(target, query) %}
  {{ return(adapter.dispatch('rebuild')(target, query)) }}
{% endmacro %}

{% macro default__rebuild(target, query) %}
  {{ return(get_create_table_as_sql(False, target, query)) }}
{% endmacro %}

{#- dbt's own statement does not replace. -#}
{% macro duckdb__rebuild(target, query) %}
  create or replace table {{ target }} as (
    {{ query }}
  )
{% endmacro %}


{% macro replace_rows(target, fresh, own, columns) %}
  {{ return(adapter.dispatch('replace_rows')(target, fresh, own, columns)) }}
{% endmacro %}

{#- dbt has a transaction open. -#}
{% macro duckdb__replace_rows(target, fresh, own, columns) %}
  delete from {{ target }} where {{ own }};
  insert into {{ target }} ({{ columns }}) select {{ columns }} from {{ fresh }};
{% endmacro %}

{% macro bigquery__replace_rows(target, fresh, own, columns) %}
  begin transaction;
  delete from {{ target }} where {{ own }};
  insert into {{ target }} ({{ columns }}) select {{ columns }} from {{ fresh }};
  commit transaction;
{% endmacro %}


{#- Names. A model's changes go by its name, a source's by its table. -#}
{% macro changes_name(entry) %}
  {%- if '.' in entry -%}
    {{ return('raw__' ~ relation_of(entry).identifier) }}
  {%- endif -%}
  {{ return(entry) }}
{% endmacro %}

{% macro relation_of(entry) %}
  {%- if '.' in entry -%}
    {%- set parts = entry.split('.') -%}
    {{ return(source(parts[0], parts[1])) }}
  {%- endif -%}
  {{ return(ref(entry)) }}
{% endmacro %}

{% macro changes_schema() %}
  {{ return(config.get('changes_schema', 'changes')) }}
{% endmacro %}

{% macro changes_relation(name) %}
  {{ return(api.Relation.create(database=this.database, schema=changes_schema(), identifier=name)) }}
{% endmacro %}

{% macro mark_rebuilt() %}
  {%- do run_query('create or replace view ' ~ changes_relation(model.name ~ '__rebuilt') ~ ' as select true as rebuilt') -%}
{% endmacro %}


{#- Columns of the changes, and of the marks, of each entry; an empty list where there are none. Asked of the database and not of
    dbt's cache, which does not see what other models made in this run. -#}
{% macro columns_of_changes(entries) %}
  {%- set names = [] -%}
  {%- for entry in entries -%}
    {%- do names.extend([changes_name(entry), changes_name(entry) ~ '__rebuilt']) -%}
  {%- endfor -%}
  {{ return(adapter.dispatch('columns_in_changes')(names)) }}
{% endmacro %}

{#- By the tables' metadata, which costs nothing where a query would be billed. -#}
{% macro default__columns_in_changes(names) %}
  {%- set columns = {} -%}
  {%- for name in names -%}
    {%- set found = adapter.get_columns_in_relation(changes_relation(name)) -%}
    {%- do columns.update({name: found | map(attribute='name') | list}) -%}
  {%- endfor -%}
  {{ return(columns) }}
{% endmacro %}

{% macro duckdb__columns_in_changes(names) %}
  {%- set columns = {} -%}
  {%- for name in names -%}
    {%- do columns.update({name: []}) -%}
  {%- endfor -%}
  {%- if columns -%}
    {%- set query -%}
      select table_name, column_name
      from duckdb_columns()
      where database_name = '{{ this.database }}' and schema_name = '{{ changes_schema() }}'
      order by table_name, column_index
    {%- endset -%}
    {%- for row in run_query(query) if row[0] in columns -%}
      {%- do columns[row[0]].append(row[1]) -%}
    {%- endfor -%}
  {%- endif -%}
  {{ return(columns) }}
{% endmacro %}


{#- Scratch relations, gone after the model: temporary tables where a session outlives a statement. -#}
{% macro scratch_relation(suffix) %}
  {{ return(adapter.dispatch('scratch_relation')(suffix)) }}
{% endmacro %}

{% macro default__scratch_relation(suffix) %}
  {{ return(changes_relation(model.name ~ '__' ~ suffix)) }}
{% endmacro %}

{% macro duckdb__scratch_relation(suffix) %}
  {{ return(api.Relation.create(identifier=model.name ~ '__' ~ suffix)) }}
{% endmacro %}

{% macro create_scratch(relation, query) %}
  {{ return(adapter.dispatch('create_scratch')(relation, query)) }}
{% endmacro %}

{% macro default__create_scratch(relation, query) %}
  {%- do run_query('create or replace table ' ~ relation ~ ' as (' ~ query ~ '\n)') -%}
{% endmacro %}

{% macro duckdb__create_scratch(relation, query) %}
  {%- do run_query('create or replace temporary table ' ~ relation ~ ' as (' ~ query ~ '\n)') -%}
{% endmacro %}

{% macro drop_scratch(relation) %}
  {%- do run_query('drop table if exists ' ~ relation) -%}
{% endmacro %}


{% macro string_unit(value) %}
  {{ return(adapter.dispatch('string_unit')(value)) }}
{% endmacro %}

{% macro duckdb__string_unit(value) %}
  {{ return("'" ~ value | replace("'", "''") ~ "'") }}
{% endmacro %}

{% macro bigquery__string_unit(value) %}
  {{ return("'" ~ value | replace("\\", "\\\\") | replace("'", "\\'") | replace("\n", "\\n") | replace("\r", "\\r") ~ "'") }}
{% endmacro %}
