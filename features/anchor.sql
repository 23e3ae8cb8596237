-- grain: account × target product × as-of date
-- The anchor of a pair is the owned product most adjacent to the target: the nearest quadrant, then the highest ARR,
-- then the oldest. Every relation here holds what was known at $as_of, and nothing else.
with held as (
    -- what each account owns and runs
    select
        owned.account_id,
        owned.product_id,
        sum(cast(paid.arr_usd as decimal(18, 6))) as arr_usd,
        sum(paid.seats) as seats,
        min(paid.start_on) as since_on
    from owned
    left join (from subscriptions where paid and end_on is null) as paid using (account_id, product_id)
    group by all
),
beside as (
    -- every owned product beside every target, the most adjacent first
    select
        rows.account_id,
        rows.product_id,
        held.product_id as anchor_id,
        held.seats,
        held.since_on,
        coalesce(adjacency.quadrant, 'not_in_catalogue') as quadrant,
        row_number() over (
            partition by rows.account_id, rows.product_id
            order by
                case adjacency.quadrant
                    when 'primary' then 1 when 'problem_first' then 2 when 'specialist' then 3 when 'net_new' then 4
                    else 5
                end,
                coalesce(held.arr_usd, 0) desc,
                held.since_on,
                held.product_id
        ) as place
    from rows
    join held on held.account_id = rows.account_id
    left join adjacency
        on adjacency.product_id = rows.product_id and adjacency.owned_product_id = held.product_id
),
used as (
    -- four weeks of use per account and owned product
    select
        account_id,
        product_id,
        cast(sum(cast(active_users as decimal(18, 6))) as double) / count(active_users) as users,
        count(distinct ($as_of - 1 - date) // 7) filter (where active_users > 0) as weeks
    from usage
    where date >= $as_of - 28
    group by all
),
used_features as (
    -- core features in use
    select feature_usage.account_id, feature_usage.product_id, count(distinct feature_usage.feature) as features
    from feature_usage
    join products on products.product_id = feature_usage.product_id
    where date >= $as_of - 28 and uses > 0 and list_contains(products.core_features, feature_usage.feature)
    group by all
),
scored as (
    -- last score of each account and product; product_id is null for the account's own
    select account_id, product_id, arg_max(score, date) as score
    from health
    where date >= $as_of - 90
    group by all
)
select
    rows.account_id,
    rows.product_id,
    rows.as_of,
    beside.quadrant,
    coalesce(of_anchor.score, of_account.score) as health,
    -- a product nobody sends rows of is not measured, which is no use of none
    case when beside.anchor_id in (select product_id from used) then coalesce(used.users, 0) / nullif(beside.seats, 0) end
        as seats_used_share,
    case when beside.anchor_id in (select product_id from used) then coalesce(used.weeks, 0) end as active_weeks,
    case
        when beside.anchor_id in (select product_id from used_features)
            then coalesce(used_features.features, 0) / len(products.core_features)
    end as core_adoption_share,
    $as_of - beside.since_on as tenure_days
from rows
join beside
    on beside.account_id = rows.account_id and beside.product_id = rows.product_id and beside.place = 1
left join products on products.product_id = beside.anchor_id
left join used on used.account_id = rows.account_id and used.product_id = beside.anchor_id
left join used_features on used_features.account_id = rows.account_id and used_features.product_id = beside.anchor_id
left join scored as of_anchor on of_anchor.account_id = rows.account_id and of_anchor.product_id = beside.anchor_id
left join scored as of_account on of_account.account_id = rows.account_id and of_account.product_id is null
