with bands as (

    select
        *,
        sum(answer_share) over (
            partition by focus_group_id, question_id order by band rows between unbounded preceding and current row
        ) as share_up_to_here,
        -- Half of the middle band is on either side.
        sum(case when band < 0 then answer_share when band = 0 then answer_share / 2 else 0 end) over (
            partition by focus_group_id, question_id
        ) as share_left_of_middle
    from {{ ref('fct_answer_bands') }}

)

select
    focus_group_id,
    question_id,
    band,
    share_up_to_here - answer_share - share_left_of_middle as from_share,
    share_up_to_here - share_left_of_middle as to_share,
    is_small_sample
from bands
