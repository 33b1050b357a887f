-- loyalty: one partition a data_dt, one row a customer with an account: the state at the end of that day.
--
-- Tables to select from:
--   accounts       the kernel's state of each customer at the end of data_dt: cust_id, orders, visits, spend DECIMAL(18,2),
--                  points, points_earned DECIMAL(18,3), first_order, last_order TIMESTAMP (UTC)
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
    a.points              AS points_balance,
    a.points_earned       AS points_earned,
    a.first_order         AS first_order,
    a.last_order          AS last_order
FROM accounts AS a
LEFT JOIN customers_cln AS c ON c.cust_id = a.cust_id
ORDER BY a.cust_id
