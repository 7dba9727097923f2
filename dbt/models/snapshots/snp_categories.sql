{{ config(unit='category_id', rows=['cln_categories']) }}

{{ versions_of(ref('cln_categories'), key=['category_id']) }}
