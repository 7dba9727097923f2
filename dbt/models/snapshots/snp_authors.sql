{{ config(unit='author_id', rows=['cln_authors']) }}

{{ versions_of(ref('cln_authors'), key=['author_id']) }}
