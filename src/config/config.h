/*
 * punchcard.yaml and programme.yaml, read and checked.
 *
 *     struct config *config = NULL;
 *     if (config_load("shop/punchcard.yaml", &config, err) < 0)
 *             …   // "shop/punchcard.yaml:12: sources[0].format: 'clasic' is no format; expected classic, ndjson or an order
 *             // mapping (receipts)"
 *     config_free(config);
 *
 * Everything is read by libcyaml, strictly: an unknown key, a missing one, a value of the wrong type or out of range is an
 * ERROR_CONFIG whose message begins with "file:line: key: " and says what was expected. A loaded config is immutable.
 */
#ifndef PUNCHCARD_CONFIG_CONFIG_H
#define PUNCHCARD_CONFIG_CONFIG_H

#include "base/error.h"
#include "loyalty/event.h"
#include "loyalty/programme.h"

#include <regex.h>
#include <stdbool.h>
#include <stdint.h>

enum when_done {
	WHEN_DONE_RENAME = 0, /* a suffix is put behind the name */
	WHEN_DONE_MOVE = 1,   /* into the directory move_to */
	WHEN_DONE_DELETE = 2,
};

enum source_type {
	SOURCE_SPOOL = 0, /* files of a directory, each taken once */
	SOURCE_TAIL = 1,  /* files that grow and are rotated */
	SOURCE_STDIN = 2, /* what is piped into the process */
	SOURCE_EXEC = 3,  /* a program's output */
	SOURCE_HTTP = 4,  /* requests */
	SOURCE_TCP = 5,   /* lines, by connections */
	SOURCE_KAFKA = 6, /* messages of topics */
	SOURCE_TYPES = 7,
};

/* Where a source of type kafka begins in a topic of which nothing was read yet. */
enum kafka_from {
	KAFKA_FROM_EARLIEST = 0, /* at the oldest message that is kept */
	KAFKA_FROM_LATEST = 1,   /* at the next one that is written */
};

/* What a source of type http takes. */
enum http_bodies {
	HTTP_BODIES_EVENTS = 0, /* events of docs/events.md */
	HTTP_BODIES_FLUME_JSON, /* [{"headers": {…}, "body": "…"}, …] */
	HTTP_BODIES_FLUME_BLOB, /* any text */
};

struct config_strings {
	char **items;
	unsigned count;
};

/* Where events come in. What a type has not is NULL or 0. */
struct config_source {
	char *name; /* unique; [a-z0-9_-], 1 to 64 bytes: it stands in transactions_cln.source */
	enum source_type type;
	char *format; /* "classic", "ndjson" (http: always) or the name of an order mapping */

	/* spool */
	char *dir;      /* as written; relative to the deployment */
	char *pattern;  /* fnmatch(3) of the file's name; "*" unless set */
	bool recursive; /* files of the directories below `dir`, too */
	/* How often the daemon lists the directory, besides being told of changes; kafka: how often it looks for new partitions. 30 unless set. */
	uint32_t scan_s;
	enum when_done when_done;
	char *suffix; /* ".COMPLETED" unless set; with rename, and with delete for files that have quarantined lines; else NULL */
	char *move_to; /* with move: relative to the deployment */
	/* What more text could change at the end (of a file, or what came so far) is not taken, and no file moved or deleted,
	 * before nobody has written to it for so long; 2000 unless set, 0: files come whole. All types but http, tcp and kafka. */
	uint32_t settle_ms;

	/* tail */
	char *path; /* of the file, or a pattern in its last part; relative to the deployment */

	/* exec */
	struct config_strings command; /* the program and its arguments; no shell */
	uint32_t restart_s;            /* pause before it is started again, doubled up to 64 times this; 1 unless set */

	/* http, tcp */
	char *listen; /* "127.0.0.1:8480", "[::1]:8480" */

	/* http */
	char *token_file;      /* its first line is the token that every request must bear; NULL: none is needed */
	uint32_t max_body_kib; /* a larger request is refused; 4096 unless set */
	uint32_t max_waiting;  /* requests that wait for the journal; more are told to come again; 256 unless set */

	/* tcp */
	bool answer; /* "OK" for each line that is durable; true unless set */

	/* kafka */
	char *brokers;                    /* "host:port,host:port": of some, which name the others */
	struct config_strings topics;     /* names */
	struct config_strings partitions; /* numbers, of each topic; none: all, and those that are added */
	char *group; /* where the broker is told, for others to see, how far it was read; "punchcard" unless set */
	enum kafka_from from;
	struct config_strings properties; /* "name=value", for librdkafka; never in a log: values may be secret */
	char *properties_file;            /* likewise, a line each, as Java writes them; or NULL */

	/* Of a Flume agent (speed/flume_conf.h), never of punchcard.yaml. */
	bool keeps_lines;            /* each line goes into the journal as it is, too */
	bool lines_only;             /* … and none is read as an event */
	regex_t *include;            /* spool: whole names of files; NULL: any */
	regex_t *ignore;             /* … that are left alone; NULL: none */
	enum http_bodies flume_http; /* http */
	uint32_t line_bytes; /* tcp: a longer line, its newline counted, ends the connection; 0: LIMIT_LINE_BYTES */
};

/* "spool" and so on. */
const char *config_source_type_name(enum source_type type);

/* How an order CSV with a header is read. Values of columns are names in the header; NULL: the file has none. */
struct config_order_mapping {
	char *name;
	char *delimiter;                /* one character; "," unless set */
	char *timezone;                 /* of date and time; the programme's unless set */
	struct config_strings event_id; /* one or more columns; joined by "/" they are the event's id */
	char *line;                     /* a column that tells the lines of one order apart */
	char *customer;                 /* column */
	struct config_strings guest;    /* values of that column that mean "nobody"; "" and "0" unless set */
	char *date;                     /* column; may hold date and time */
	char *date_format;              /* %Y %m %d %H %M %S %y %s %b %p %I and literal text; see src/base/timefmt.h */
	char *time;                     /* column, or NULL when `date` has it */
	char *time_format;
	char *store;
	char *sku;
	char *menu;
	char *quantity;     /* 1 when NULL */
	char *price;        /* amount / quantity when NULL … */
	char *amount;       /* … quantity × price when NULL; one of the two must be there */
	char *decimal_mark; /* "." or ","; "." unless set */
};

/* How a customer CSV with a header is read. customer is required. */
struct config_customer_mapping {
	char *name;
	char *delimiter;
	char *customer;
	char *full_name;
	char *first_name; /* first_name and last_name, when there is no full_name */
	char *last_name;
	char *email;
	char *since;
	char *card;
	char *birth_date;
	char *birth_year;
	char *gender;
	char *home_store;
	char *date_format;             /* of since and birth_date; "%Y-%m-%d" unless set */
	struct config_strings male;    /* codes of gender; "M" unless set */
	struct config_strings female;  /* "F" unless set */
	struct config_strings neither; /* "N" and "" unless set */
};

struct config_menu_item {
	char *name;  /* unique; no '|' and no blank at its ends: it stands in a classic order line */
	char *price; /* as written */
	int64_t price_minor;
};

enum cluster_auth {
	CLUSTER_AUTH_SIMPLE = 0, /* hdfs: user.name; hbase: nothing */
	CLUSTER_AUTH_SPNEGO = 1, /* the Kerberos ticket of the process (kinit, or a keytab) */
	CLUSTER_AUTH_TOKEN = 2,  /* hdfs: a delegation token; hbase: a bearer token (Knox) */
};

enum cluster_stream {
	CLUSTER_STREAM_PUNCHCARD = 0, /* the shipper writes transactions_cln */
	CLUSTER_STREAM_SPARK = 1,     /* a Structured Streaming job makes it of the raw files */
};

enum cluster_raw {
	CLUSTER_RAW_JSON = 0, /* events as they came, as lines of JSON */
	CLUSTER_RAW_GZIP = 1, /* the same, compressed */
	CLUSTER_RAW_NONE = 2, /* no such files; the tables have the events */
};

/* The systems of the cluster profile. Texts that the file has not, and that have no default, are NULL. */
struct config_cluster {
	bool on;         /* the file has the section: tables are in HDFS, made by Spark; customers in HBase */
	char *edge;      /* this collector among others, [a-z0-9_-]; in the names of what it ships */
	char *hdfs_url;  /* of WebHDFS: "http://namenode:9870"; or of HttpFS */
	char *hdfs_path; /* all of ours is below it; absolute, without '/' at its end */
	char *hdfs_user; /* with simple */
	enum cluster_auth hdfs_auth;
	char *hdfs_token_file; /* with token; its first line */
	enum cluster_raw hdfs_raw;
	char *hbase_url;    /* of the REST gateway: "http://gateway:8080" */
	char *hbase_prefix; /* of the names of our tables; "punchcard_" unless set */
	enum cluster_auth hbase_auth;
	char *hbase_token_file;
	struct config_strings spark_command; /* spark-sql and its own arguments, if any; [spark-sql] unless set */
	char *spark_master;                  /* "yarn" unless set */
	char *spark_queue;
	char *spark_database;             /* of Hive; "punchcard" unless set */
	char *spark_filesystem;           /* HDFS as Spark knows it: "hdfs://namenode:8020" */
	struct config_strings spark_conf; /* "spark.key=value" */
	enum cluster_stream stream;
	uint32_t ship_max_mib;     /* a file for HDFS is closed at this size; 128 unless set … */
	uint32_t ship_max_delay_s; /* … or this age; 300 unless set */
};

struct config {
	char *path;       /* of the file, for messages */
	uint32_t version; /* of the file's layout: 1 */
	enum customer_id_type customer_id;
	char *customer_format; /* "classic" or the name of a customer mapping */
	struct config_source *sources;
	unsigned n_sources;
	struct config_order_mapping *order_mappings;
	unsigned n_order_mappings;
	struct config_customer_mapping *customer_mappings;
	unsigned n_customer_mappings;
	struct config_menu_item *menu; /* of `generate` */
	unsigned n_menu;
	uint32_t future_limit_h;      /* orders later than now plus this are quarantined; 24 unless set */
	uint32_t journal_map_gib;     /* most the journal may grow to; 64 unless set */
	uint32_t journal_retention_h; /* how long consumed blocks are kept; 24 unless set */
	uint32_t
		journal_backlog_mib; /* blocks that wait for a consumer: at so many the sources wait; 4096 unless set */
	uint32_t table_max_delay_s;  /* the daemon writes a Parquet file at least so often; 10 unless set */
	uint32_t table_max_rows;     /* … or when so many rows wait; 1000000 unless set */
	uint32_t view_map_gib;       /* 64 unless set */
	uint32_t view_max_delay_ms;  /* the daemon writes the accounts at most so much later; 50 unless set */
	uint32_t engine_memory_mib;  /* a quarter of the machine's, 512 to 1024, unless set */
	uint32_t engine_threads;     /* 0: all cores */
	struct config_cluster cluster;
};

/* Loads and checks. ERROR_CONFIG as above, ERROR_NOT_FOUND or ERROR_IO when the file cannot be read. *out is the caller's, to
 * be freed by config_free, and written on success only. Any thread; blocks on the file. */
int config_load(const char *path, struct config **out, struct error *err);
void config_free(struct config *config);
/* NULL when there is none of that name. The result lives as long as config. */
const struct config_order_mapping *config_order_mapping(const struct config *config, const char *name);
const struct config_customer_mapping *config_customer_mapping(const struct config *config, const char *name);
const struct config_source *config_source(const struct config *config, const char *name);

/* programme.yaml; same errors. A programme that is prepared (loyalty/programme.h), to be freed by programme_free. */
int programme_load(const char *path, struct programme **out, struct error *err);
/* The same, and the file's text as it was read, appended to `text`. */
int programme_load_text(const char *path, struct buf *text, struct programme **out, struct error *err);

/* Told of something odd, but legal, as "file:line: key: …". The text is gone when it returns. */
typedef void programme_warn(void *context, const char *text);
/* Loads it, and warns of gaps between versions of a rule, of rewards in a ledger in which nothing earns, and the like. */
int programme_check(const char *path, programme_warn *warn, void *context, struct programme **out, struct error *err);

/* A worked programme to start from, in the binary; templates/programmes has them. */
struct programme_example {
	struct slice name;    /* "stamp-card" */
	struct slice summary; /* one line */
	struct slice text;    /* a whole programme.yaml */
};
/* The i-th, from 0, by name; false when there are no more. What it points to lives for ever. */
bool programme_example(unsigned i, struct programme_example *out);

#endif
