-- A study per pair of available products that are most clearly bought together, asked of the tiers of KL-1.
with

ranked_pairs as (

    select
        *,
        -- By the lift as it is sent: among nearly equal pairs, noise must not decide which are asked about.
        row_number() over (order by {{ in_steps('lift_low', 0.5) }} desc, product_a_id, product_b_id) as pair_position
    from {{ ref('agg_product_pairs') }}
    where is_affinity and is_offered

),

tier_list as (

    select {{ sorted_list("concat_ws('', 'clv-tiers:', clv_tier)") }} as persona_keys
    from {{ ref('agg_clv_tiers') }}
    where clv_tier <> 'no_prediction' and customer_count > 0

)

select
    concat_ws('', pairs.product_a_id, '_', pairs.product_b_id) as entity,
    concat_ws('', 'Sells as a set: ', {{ label('pairs.product_a_name') }}, ', ', {{ label('pairs.product_b_name') }})
        as name,
    {{ facts_with_steps([
        ['product_a', label('pairs.product_a_name')],
        ['product_b', label('pairs.product_b_name')],
        ['category_a', label('pairs.product_a_category')],
        ['category_b', label('pairs.product_b_category')],
        ['currency', known_currency('pairs.currency')],
        figure('pair_price', 'pairs.pair_price'),
        figure('joint_buyer_count', 'pairs.joint_customer_count', 5),
        figure('buyer_count', 'pairs.customer_count', 5),
        measure('a_to_b_share', 'pairs.a_to_b_share', var('analysis_share_step'), told=var('persona_share_step')),
        measure('b_to_a_share', 'pairs.b_to_a_share', var('analysis_share_step'), told=var('persona_share_step')),
        measure('lift', 'pairs.lift', 0.5, told=0.1),
        ['window_days', var('pair_window_days')],
        ['separate_price', 'cast(pairs.pair_price as double)', two_digits_step('pairs.pair_price')],
        ['bundle_price', 'cast(pairs.bundle_price as double)', two_digits_step('pairs.bundle_price')],
    ]) }},
    pairs.joint_customer_count as person_count,
    to_json(tier_list.persona_keys) as reference_keys,
    pairs.measured_on
from ranked_pairs as pairs
cross join tier_list
where pairs.pair_position <= {{ var('asked_product_pairs') }}
