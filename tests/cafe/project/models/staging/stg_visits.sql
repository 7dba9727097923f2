select visit_id, guest_id, country, {{ units.hours('minutes') }} as hours, seen_at
from {{ source('till', 'visits') }}
