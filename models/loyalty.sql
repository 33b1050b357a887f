-- loyalty: one partition a data_dt, one row a customer with an account: the state at the end of that day.
--
-- `punchcard refresh` and `rebuild` run this; edit it as you like, as long as it stays one SELECT. Its rows stand in the table in
-- the order that it gives, so that the same data are the same bytes.
--
-- Tables to select from:
--   accounts       the kernel's state of each customer: cust_id, events, orders, visits, spend DECIMAL(18,2); of the programme's
--                  first ledger points_balance, points_earned (issued less reversed), points_redeemed, points_expired,
--                  points_pending, points_expiring_30d DECIMAL(18,3); tier (NULL: the programme has none), tier_valid_to DATE
--                  (of the next review; NULL: none), to_next_tier DECIMAL(18,3) in the unit of the tiers' metric (NULL at the
--                  top); first_order, last_order TIMESTAMP (UTC; NULL without orders), days_since_order; window_visits and
--                  window_spend DECIMAL(18,2) over the months of `segments`; favourite: the item ordered most, by quantity,
--                  whatever came back (also as a table `favourites` of cust_id and favourite)
--   segments       cust_id, r, f, m, segment, by models/segments.sql
--   customers_cln  who they are
-- A customer that no customer file names has an account, too: name and card number are NULL until a file brings them.
--
-- The text must be understood by DuckDB and by Spark SQL, so that the same file serves on a cluster.
SELECT
    a.cust_id,
    c.cust_nm             AS cust_name,
    c.cust_member_card_no AS cust_member_card_no,
    a.spend               AS spnd_amt,
    a.orders              AS orders,
    a.visits              AS visits,
    a.points_balance      AS points_balance,
    a.points_earned       AS points_earned,
    a.points_redeemed     AS points_redeemed,
    a.points_expired      AS points_expired,
    a.points_pending      AS points_pending,
    a.points_expiring_30d AS points_expiring_30d,
    a.tier                AS tier,
    a.tier_valid_to       AS tier_valid_to,
    a.to_next_tier        AS to_next_tier,
    a.first_order         AS first_order,
    a.last_order          AS last_order,
    a.favourite           AS favourite,
    s.r                   AS r,
    s.f                   AS f,
    s.m                   AS m,
    s.segment             AS segment
FROM accounts AS a
LEFT JOIN customers_cln AS c ON c.cust_id = a.cust_id
LEFT JOIN segments AS s ON s.cust_id = a.cust_id
ORDER BY a.cust_id
