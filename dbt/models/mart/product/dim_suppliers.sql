{{ config(unit='supplier_id', rows=['dim_suppliers_history']) }}

{{ current_of(ref('dim_suppliers_history'), 'supplier') }}
