-- customers_cln: one row a customer, from all customer files that were loaded.
--
-- `punchcard load customers` runs this; edit it as you like, as long as it stays one SELECT that gives the eight columns
-- below, one row a customer (it is told when it does not). It is written in the SQL that DuckDB and Spark share. The next
-- load makes the table again when this file has changed.
--
-- The table `customers` has one row for every good line of every file:
--   file VARCHAR       the landed file's path in the deployment
--   file_no BIGINT     1 for the file loaded first, 2 …
--   line BIGINT        the line's number in its file
--   cust_id            BIGINT, or VARCHAR with `customer_id: text` in punchcard.yaml; never NULL
--   home_store, name, email, card_no VARCHAR, since, birth_date DATE, birth_year INTEGER: NULL where the file has nothing
--   gender VARCHAR     'M', 'F', 'N' or NULL

WITH numbered AS (
    -- age 1 is the newest row of its customer: of the later file, then of the later line.
    SELECT
        *,
        row_number() OVER (PARTITION BY cust_id ORDER BY file_no DESC, line DESC) AS age
    FROM customers
)
SELECT
    cust_id,
    trim(name) AS cust_nm,
    email AS cust_email,
    since AS cust_strt_dt,
    -- Some exports quote the number twice.
    replace(card_no, '"', '') AS cust_member_card_no,
    birth_date AS cust_birth_dt,
    CAST(coalesce(birth_year, year(birth_date)) AS INT) AS cust_birth_yr,
    CASE gender WHEN 'M' THEN 'MALE' WHEN 'F' THEN 'FEMALE' ELSE 'NA' END AS cust_gender
FROM numbered
WHERE age = 1
