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
-- quantiles are those of type 7, which lie between two customers' numbers: x[i] + part/5 · (x[i+1] - x[i]). All is reckoned
-- in fifths, so that every number is whole or a decimal, and no engine rounds; and wide, for fifths of the greatest spend
-- have more than 18 digits: 5·x is compared with (5 - part)·x[i] + part·x[i+1].

WITH active AS (
    SELECT
        cust_id,
        days_since_order AS recency,
        window_visits AS visits,
        CAST(window_spend AS DECIMAL(38, 2)) AS spend
    FROM accounts
    WHERE window_visits > 0
),
numbers AS (
    SELECT 'recency' AS metric, CAST(recency AS DECIMAL(38, 2)) AS x, count(*) AS customers FROM active GROUP BY recency
    UNION ALL
    SELECT 'visits' AS metric, CAST(visits AS DECIMAL(38, 2)) AS x, count(*) AS customers FROM active GROUP BY visits
    UNION ALL
    SELECT 'spend' AS metric, spend AS x, count(*) AS customers FROM active GROUP BY spend
),
ranked AS (
    -- Customers with this number or a smaller one: x[i] is the first number with more than i of them.
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
places AS (
    SELECT
        metric,
        k,
        x,
        up_to,
        CAST(last * k % 5 AS INT) AS part,
        CAST((last * k - last * k % 5) / 5 AS BIGINT) AS i
    FROM ranked
    CROSS JOIN fifths
),
quantiles AS (
    SELECT
        metric,
        k,
        (5 - max(part)) * min(CASE WHEN up_to > i THEN x END)
            + max(part) * coalesce(min(CASE WHEN up_to > i + 1 THEN x END), 0) AS five_times
    FROM places
    GROUP BY metric, k
),
cuts AS (
    SELECT
        max(CASE WHEN metric = 'recency' AND k = 1 THEN five_times END) AS r1,
        max(CASE WHEN metric = 'recency' AND k = 2 THEN five_times END) AS r2,
        max(CASE WHEN metric = 'recency' AND k = 3 THEN five_times END) AS r3,
        max(CASE WHEN metric = 'recency' AND k = 4 THEN five_times END) AS r4,
        max(CASE WHEN metric = 'visits' AND k = 1 THEN five_times END) AS f1,
        max(CASE WHEN metric = 'visits' AND k = 2 THEN five_times END) AS f2,
        max(CASE WHEN metric = 'visits' AND k = 3 THEN five_times END) AS f3,
        max(CASE WHEN metric = 'visits' AND k = 4 THEN five_times END) AS f4,
        max(CASE WHEN metric = 'spend' AND k = 1 THEN five_times END) AS m1,
        max(CASE WHEN metric = 'spend' AND k = 2 THEN five_times END) AS m2,
        max(CASE WHEN metric = 'spend' AND k = 3 THEN five_times END) AS m3,
        max(CASE WHEN metric = 'spend' AND k = 4 THEN five_times END) AS m4
    FROM quantiles
),
scores AS (
    -- The most recent are 5. There is one row of cuts, so that no customers are joined with each other.
    SELECT
        a.cust_id,
        a.window_visits > 0 AS is_active,
        5 - CASE WHEN 5 * a.days_since_order > c.r1 THEN 1 ELSE 0 END
            - CASE WHEN 5 * a.days_since_order > c.r2 THEN 1 ELSE 0 END
            - CASE WHEN 5 * a.days_since_order > c.r3 THEN 1 ELSE 0 END
            - CASE WHEN 5 * a.days_since_order > c.r4 THEN 1 ELSE 0 END AS r,
        1 + CASE WHEN 5 * a.window_visits > c.f1 THEN 1 ELSE 0 END
            + CASE WHEN 5 * a.window_visits > c.f2 THEN 1 ELSE 0 END
            + CASE WHEN 5 * a.window_visits > c.f3 THEN 1 ELSE 0 END
            + CASE WHEN 5 * a.window_visits > c.f4 THEN 1 ELSE 0 END AS f,
        1 + CASE WHEN 5 * CAST(a.window_spend AS DECIMAL(38, 2)) > c.m1 THEN 1 ELSE 0 END
            + CASE WHEN 5 * CAST(a.window_spend AS DECIMAL(38, 2)) > c.m2 THEN 1 ELSE 0 END
            + CASE WHEN 5 * CAST(a.window_spend AS DECIMAL(38, 2)) > c.m3 THEN 1 ELSE 0 END
            + CASE WHEN 5 * CAST(a.window_spend AS DECIMAL(38, 2)) > c.m4 THEN 1 ELSE 0 END AS m
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
