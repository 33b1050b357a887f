"""transactions_cln by Spark Structured Streaming, out of the events that edges ship as they came in (`stream: spark`).

    spark-submit transactions_stream.py --path hdfs://namenode:8020/user/punchcard --timezone Asia/Bangkok [--interval 60]

reads <path>/transactions/source=<name>/events-<edge>-<first>-<last>.ndjson (or .ndjson.gz) and writes, in the layout of the shippers' own files,
<path>/warehouse/transactions_cln/data_dt=<day>/orders-<edge>-<first>-<last>.<source>.parquet: the rows of one shipment of one source
on one day, named by it. So whatever is done again (a batch that was killed, or everything when the checkpoint is lost) finds its files
there, and takes away those that another --timezone gave to other days; and refresh knows by the names which events are new. Spark's
own file sink can do neither: its files have random names, and count only for readers of its log.

Each round takes all that is there when it begins. Then <path>/edges/<edge>/hdfs-table-<next> tells, as a shipper's mark does, that all
rows of blocks before <next> are in the table.
"""

import argparse
import time

from pyspark.sql import SparkSession
from pyspark.sql import functions as F

EVENT = """event_id STRING, kind STRING, customer STRING, time STRING, store STRING,
    lines ARRAY<STRUCT<sku: STRING, menu: STRING, qty: DECIMAL(18,3), price: DECIMAL(18,2), amount: DECIMAL(18,2)>>,
    `order` STRING, amount DECIMAL(18,2), points DECIMAL(18,3), ledger STRING, reward STRING, reason STRING, accepted BOOLEAN"""

# What refunds bring back is negative; an event without lines is one row; a time has no zone in the files, and is UTC.
COLUMNS = """event_id, CAST(coalesce(pos, 0) + 1 AS INT) AS line_no, kind, CAST(customer AS {id_type}) AS cust_id,
    line.menu AS odr_menu, line.sku AS odr_sku, if(kind = 'refund', -line.qty, line.qty) AS odr_qty, line.price AS odr_prc,
    CASE WHEN kind <> 'refund' THEN line.amount WHEN pos IS NULL THEN -amount ELSE -line.amount END AS odr_amt,
    CAST(at AS TIMESTAMP_NTZ) AS odr_tms, store, source, `order` AS order_id, points, ledger, reward, reason,
    CASE WHEN kind = 'redeem' THEN if(accepted = false, 'declined', 'accepted') END AS decision,
    to_date(from_utc_timestamp(at, '{timezone}')) AS data_dt, shipment, place"""

TABLE = "warehouse/transactions_cln"
FILE = r"/source=([^/]+)/events-(.+-[0-9]{12}-[0-9]{12})[.]ndjson(?:[.]gz)?$"


def rows_of(lines, timezone, id_type):
    """Rows of transactions_cln, of lines of JSON (docs/events.md); one that is none ends the job, for shippers write no such line."""
    return (
        lines.select(
            F.from_json("value", EVENT, {"mode": "FAILFAST"}).alias("event"),
            F.regexp_extract("path", FILE, 1).alias("source"),
            F.concat(F.regexp_extract("path", FILE, 2), F.lit("."), F.regexp_extract("path", FILE, 1)).alias("shipment"),
            F.monotonically_increasing_id().alias("place"),
        )
        .select("event.*", "source", "shipment", "place", F.expr("CAST(event.time AS TIMESTAMP)").alias("at"))
        .select("*", F.posexplode_outer("lines").alias("pos", "line"))
        .where("kind <> 'order' OR pos IS NOT NULL")
        .selectExpr(*split_columns(COLUMNS.format(timezone=timezone, id_type=id_type)))
    )


def split_columns(text):
    """A list's items: its commas, but not those in brackets."""
    items, depth = [""], 0
    for letter in text:
        depth += (letter == "(") - (letter == ")")
        if letter == "," and depth == 0:
            items.append("")
        else:
            items[-1] += letter
    return [item.strip() for item in items]


class Files:
    """What is below the path, by Hadoop's own client."""

    def __init__(self, spark, root):
        self.path = spark._jvm.org.apache.hadoop.fs.Path
        self.equal = spark._jvm.org.apache.commons.io.IOUtils.contentEquals
        self.root = root
        self.fs = self.path(root).getFileSystem(spark._jsc.hadoopConfiguration())

    def at(self, name):
        return self.path(f"{self.root}/{name}")

    def list(self, name):
        if not self.fs.exists(self.at(name)):
            return []
        return sorted(entry.getPath().getName() for entry in self.fs.listStatus(self.at(name)))

    def make_dir(self, name):
        self.fs.mkdirs(self.at(name))

    def remove(self, name):
        self.fs.delete(self.at(name), True)

    def touch(self, name):
        self.fs.create(self.at(name), True).close()

    def glob(self, pattern):
        """Names below the path."""
        found = self.fs.globStatus(self.at(pattern)) or []
        tails = [entry.getPath().toUri().getPath() for entry in found]
        return sorted(tail[len(self.at("").toUri().getPath().rstrip("/")) + 1 :] for tail in tails)

    def same(self, name, other):
        if self.fs.getFileStatus(self.at(name)).getLen() != self.fs.getFileStatus(self.at(other)).getLen():
            return False
        streams = [self.fs.open(self.at(one)) for one in (name, other)]
        try:
            return self.equal(*streams)
        finally:
            for stream in streams:
                stream.close()

    def move(self, name, to):
        """Unless the same is there already: then this was done before."""
        if self.fs.exists(self.at(to)):
            if self.same(name, to):
                return
            self.remove(to)
        if not self.fs.rename(self.at(name), self.at(to)):
            raise OSError(f"{self.root}/{name} cannot be renamed to {to}")

    def mark(self, edge, shipper):
        """The first block of an edge of which not everything was shipped; 0: nothing was."""
        found = [name.rpartition("-") for name in self.list(f"edges/{edge}")]
        return max((int(number) for head, _, number in found if head == shipper and number.isdigit()), default=0)


def write(files, rows, stage):
    """One file a day and shipment: staged by Spark, and given its name when it is whole."""
    files.remove(stage)
    one_each = rows.repartition("data_dt", "shipment").sortWithinPartitions("data_dt", "shipment", "place", "line_no").drop("place")
    one_each.write.option("maxRecordsPerFile", 0).partitionBy("data_dt", "shipment").parquet(f"{files.root}/{stage}")
    moves = {}
    for day in (name for name in files.list(stage) if name.startswith("data_dt=")):
        for shipment in files.list(f"{stage}/{day}"):
            (part,) = (name for name in files.list(f"{stage}/{day}/{shipment}") if name.endswith(".parquet"))
            name = f"orders-{shipment.partition('=')[2]}.parquet"
            moves[f"{TABLE}/{day}/{name}"] = f"{stage}/{day}/{shipment}/{part}"
    # The same shipments under other days were made with another time zone: their rows are in these files now.
    names = ",".join(sorted({name.rpartition("/")[2] for name in moves}))
    for name in files.glob(f"{TABLE}/data_dt=*/{{{names}}}") if names else ():
        if name not in moves:
            files.remove(name)
    for name, staged in moves.items():
        files.make_dir(name.rpartition("/")[0])
        files.move(staged, name)
    files.remove(stage)


def run_once(spark, files, options):
    """Takes all that is there now; what comes meanwhile is for the next time."""
    shipped = {edge: files.mark(edge, "hdfs-raw") for edge in files.list("edges")}
    lines = (
        spark.readStream.format("text")
        .option("lineSep", "\n")
        .option("recursiveFileLookup", "true")
        .option("pathGlobFilter", "events-*{.ndjson,.ndjson.gz}")
        .option("maxFileAge", "36500d")  # one that an edge could not ship for a long time counts, too
        .option("maxFilesPerTrigger", options.max_files)
        .load(f"{files.root}/transactions")
        .select("value", F.col("_metadata.file_path").alias("path"))
    )
    id_type = {"integer": "BIGINT", "text": "STRING"}[options.customer_id]
    query = (
        lines.writeStream.foreachBatch(lambda batch, _: write(files, rows_of(batch, options.timezone, id_type), "_tmp/stream"))
        .option("checkpointLocation", options.checkpoint or f"{files.root}/_stream")
        .trigger(availableNow=True)
        .start()
    )
    query.awaitTermination()
    for edge, following in shipped.items():
        had = files.mark(edge, "hdfs-table")
        if following > had:
            files.touch(f"edges/{edge}/hdfs-table-{following:012}")
            if had:
                files.remove(f"edges/{edge}/hdfs-table-{had:012}")


def main():
    parser = argparse.ArgumentParser(description="Makes transactions_cln of the events that edges have shipped.")
    parser.add_argument("--path", required=True, help="URL of the directory of punchcard.yaml's cluster.hdfs.path")
    parser.add_argument("--timezone", required=True, help="of programme.yaml: it says which day an event belongs to")
    parser.add_argument("--customer-id", choices=("integer", "text"), default="integer", help="of punchcard.yaml (default: integer)")
    parser.add_argument("--interval", type=float, help="begin a round so many seconds after the last; without it, one round")
    parser.add_argument("--max-files", type=int, default=256, help="files of one batch (default: 256)")
    parser.add_argument("--checkpoint", help="where Spark remembers which files it has (default: <path>/_stream)")
    options = parser.parse_args()

    spark = SparkSession.builder.appName("punchcard transactions_cln").getOrCreate()
    for key, value in {
        "spark.sql.session.timeZone": "UTC",
        "spark.sql.ansi.enabled": "true",
        "spark.sql.parquet.compression.codec": "zstd",
    }.items():
        spark.conf.set(key, value)
    files = Files(spark, options.path.rstrip("/"))
    files.make_dir("transactions")
    while True:
        run_once(spark, files, options)
        if options.interval is None:
            break
        time.sleep(options.interval)
    spark.stop()


if __name__ == "__main__":
    main()
