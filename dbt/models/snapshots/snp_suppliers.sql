{{ config(unit='supplier_id', rows=['cln_suppliers']) }}

{{ versions_of(ref('cln_suppliers'), key=['supplier_id']) }}
