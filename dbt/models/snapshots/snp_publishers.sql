{{ config(unit='publisher_id', rows=['cln_publishers']) }}

{{ versions_of(ref('cln_publishers'), key=['publisher_id']) }}
