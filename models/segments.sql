-- segments: one row a customer with an account: recency, frequency and monetary scores, and the segment they make.
--
-- `punchcard refresh` and `rebuild` run this before models/loyalty.sql, which joins the result; edit it as you like, as long as
-- it stays one SELECT that gives one row a customer. It is written in the SQL that DuckDB and Spark share.
--
-- The table `accounts` has one row a customer with an account (models/loyalty.sql lists its columns). The window is the
-- programme's, `segments: {window_months: 12}`, up to the day of the partition.
--
-- Frequency is visits in the window, monetary what was spent in it: their scores are 1 + how many of the quantiles .2 .4 .6
-- .8 of all customers with visits in the window are less than the customer's number. Recency is days since the last order, of
-- which few are good: its score is 5 - as many. Who had no visit in the window has no scores, and is a Prospect. The
-- quantiles are those of type 7, which lie between two customers' numbers, at the lower one or behind it and before the next:
-- of n + 1 customers, k fifths of the way from x[0] to x[n] are at place i = k·n/5, rounded down. So a customer's number is
-- greater than the quantile just when it is greater than x[i], and nothing has to be interpolated.

WITH active AS (
    SELECT
        cust_id,
        days_since_order AS recency,
        window_visits AS visits,
        window_spend AS spend
    FROM accounts
    WHERE window_visits > 0
),
numbers AS (
    SELECT 'recency' AS metric, CAST(recency AS DECIMAL(18, 2)) AS x, count(*) AS customers FROM active GROUP BY recency
    UNION ALL
    SELECT 'visits' AS metric, CAST(visits AS DECIMAL(18, 2)) AS x, count(*) AS customers FROM active GROUP BY visits
    UNION ALL
    SELECT 'spend' AS metric, CAST(spend AS DECIMAL(18, 2)) AS x, count(*) AS customers FROM active GROUP BY spend
),
ranked AS (
    -- Customers with this number or a smaller one; x[i] is the first number of which that is more than i: more than k·n/5, too.
    SELECT
        metric,
        x,
        CAST(sum(customers) OVER (PARTITION BY metric ORDER BY x) AS BIGINT) AS up_to,
        CAST(sum(customers) OVER (PARTITION BY metric) AS BIGINT) - 1 AS last
    FROM numbers
),
fifths AS (
    SELECT 1 AS k UNION ALL SELECT 2 AS k UNION ALL SELECT 3 AS k UNION ALL SELECT 4 AS k
),
quantiles AS (
    SELECT
        metric,
        k,
        min(x) AS x
    FROM ranked
    CROSS JOIN fifths
    WHERE 5 * up_to > k * last
    GROUP BY metric, k
),
cuts AS (
    SELECT
        CAST(max(CASE WHEN metric = 'recency' AND k = 1 THEN x END) AS BIGINT) AS r1,
        CAST(max(CASE WHEN metric = 'recency' AND k = 2 THEN x END) AS BIGINT) AS r2,
        CAST(max(CASE WHEN metric = 'recency' AND k = 3 THEN x END) AS BIGINT) AS r3,
        CAST(max(CASE WHEN metric = 'recency' AND k = 4 THEN x END) AS BIGINT) AS r4,
        CAST(max(CASE WHEN metric = 'visits' AND k = 1 THEN x END) AS BIGINT) AS f1,
        CAST(max(CASE WHEN metric = 'visits' AND k = 2 THEN x END) AS BIGINT) AS f2,
        CAST(max(CASE WHEN metric = 'visits' AND k = 3 THEN x END) AS BIGINT) AS f3,
        CAST(max(CASE WHEN metric = 'visits' AND k = 4 THEN x END) AS BIGINT) AS f4,
        CAST(max(CASE WHEN metric = 'spend' AND k = 1 THEN x END) AS DECIMAL(18, 2)) AS m1,
        CAST(max(CASE WHEN metric = 'spend' AND k = 2 THEN x END) AS DECIMAL(18, 2)) AS m2,
        CAST(max(CASE WHEN metric = 'spend' AND k = 3 THEN x END) AS DECIMAL(18, 2)) AS m3,
        CAST(max(CASE WHEN metric = 'spend' AND k = 4 THEN x END) AS DECIMAL(18, 2)) AS m4
    FROM quantiles
),
scores AS (
    -- The most recent are 5. There is one row of cuts, so that no customers are joined with each other.
    SELECT
        a.cust_id,
        a.window_visits > 0 AS is_active,
        5 - CASE WHEN a.days_since_order > c.r1 THEN 1 ELSE 0 END
            - CASE WHEN a.days_since_order > c.r2 THEN 1 ELSE 0 END
            - CASE WHEN a.days_since_order > c.r3 THEN 1 ELSE 0 END
            - CASE WHEN a.days_since_order > c.r4 THEN 1 ELSE 0 END AS r,
        1 + CASE WHEN a.window_visits > c.f1 THEN 1 ELSE 0 END
            + CASE WHEN a.window_visits > c.f2 THEN 1 ELSE 0 END
            + CASE WHEN a.window_visits > c.f3 THEN 1 ELSE 0 END
            + CASE WHEN a.window_visits > c.f4 THEN 1 ELSE 0 END AS f,
        1 + CASE WHEN a.window_spend > c.m1 THEN 1 ELSE 0 END
            + CASE WHEN a.window_spend > c.m2 THEN 1 ELSE 0 END
            + CASE WHEN a.window_spend > c.m3 THEN 1 ELSE 0 END
            + CASE WHEN a.window_spend > c.m4 THEN 1 ELSE 0 END AS m
    FROM accounts AS a
    CROSS JOIN cuts AS c
)
SELECT
    s.cust_id,
    CASE WHEN s.is_active THEN CAST(s.r AS INT) END AS r,
    CASE WHEN s.is_active THEN CAST(s.f AS INT) END AS f,
    CASE WHEN s.is_active THEN CAST(s.m AS INT) END AS m,
    CASE
        WHEN NOT s.is_active THEN 'Prospect'
        WHEN s.r <= 2 AND s.f <= 2 THEN 'Hibernating'
        WHEN s.r <= 2 AND s.f <= 4 THEN 'At Risk'
        WHEN s.r <= 2 THEN concat('Can', chr(39), 't Lose')
        WHEN s.r = 3 AND s.f <= 2 THEN 'About to Sleep'
        WHEN s.r = 3 AND s.f = 3 THEN 'Need Attention'
        WHEN s.r = 3 THEN 'Loyal'
        WHEN s.r = 4 AND s.f = 1 THEN 'Promising'
        WHEN s.r = 5 AND s.f = 1 THEN 'New'
        WHEN s.f <= 3 THEN 'Potential Loyalist'
        WHEN s.r = 4 THEN 'Loyal'
        ELSE 'Champions'
    END AS segment
FROM scores AS s
