{{ config(unit='supplier_id', rows=['stg_suppliers']) }}

{{ history_of(ref('stg_suppliers'), 'supplier') }}
