{{ config(
    unit='promotion_id',
    rows=['dim_promotions_history'],
    whole=['dim_date'],
    partition_by={'field': 'date_day', 'data_type': 'date'},
) }}

-- Of each day the version that held at its end (UTC).
select
    {{ surrogate_key(['versions.promotion_id', 'dates.date_day']) }} as promotion_day_key,
    dates.date_day,
    versions.promotion_id,
    versions.promotion_version_key,
    versions.promotion_code,
    versions.promotion_status,
    versions.discount_level,
    versions.discount_type,
    versions.discount_value,
    versions.starts_at <= cast(dates.date_day + 1 as {{ dbt.type_timestamp() }})
    and versions.ends_at > cast(dates.date_day as {{ dbt.type_timestamp() }}) as is_in_its_time
from {{ ref('dim_promotions_history') }} as versions
inner join {{ ref('dim_date') }} as dates
    on cast(dates.date_day + 1 as {{ dbt.type_timestamp() }}) > versions.valid_from
    and cast(dates.date_day + 1 as {{ dbt.type_timestamp() }}) <= {{ until('versions.valid_to') }}
    and dates.date_day <= cast(versions.ends_at as date)
where
    {{ in_touched('versions.promotion_id') }}
    and not versions.is_deleted
