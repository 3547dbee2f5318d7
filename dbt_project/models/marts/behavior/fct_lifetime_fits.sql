select
    purpose,
    reason,
    horizon_days,
    buyer_count,
    repeat_buyer_count,
    cast(r as double) as r,
    cast(alpha as double) as alpha,
    cast(a as double) as a,
    cast(b as double) as b,
    cast(p as double) as p,
    cast(q as double) as q,
    cast(gamma as double) as gamma,
    r is not null as is_fitted,
    fitted_to
from {{ ref('stg_operations__lifetime_fits') }}
