/*
 * What a deployment holds and how far it is, without the SQL engine: the journal's and the view's own counts.
 *
 *     struct status status;
 *     rc = status_read(deployment, &status, err);
 *     …
 *     status_release(&status);
 *
 * Thread: any.
 */
#ifndef PUNCHCARD_SERVING_STATUS_H
#define PUNCHCARD_SERVING_STATUS_H

#include "config/deployment.h"
#include "serving/live.h"
#include "speed/intake.h"

struct status_source {
	const struct config_source *source;
	struct config_source
		*own;        /* the same, where punchcard.yaml has no such source: of it only its name is known … */
	const char *type;    /* … and sometimes its type: config_source_type_name; else NULL */
	uint64_t files;      /* read to their end */
	uint64_t files_open; /* begun */
	uint64_t files_waiting; /* in the directory (or those below it), not begun */
	bool unreadable;        /* the directory, or one below it, cannot be listed */
	uint64_t bytes;         /* of text taken */
	struct intake_counts counts;
	uint64_t lost;   /* kafka: messages that were removed before they were read */
	int64_t last_us; /* when it last gave something; 0: never */
};

struct status_consumer {
	char *name;
	uint64_t offset;    /* number of the next block it takes */
	uint64_t lag_lines; /* durable, and not taken yet */
};

struct status {
	/* As in the configuration; behind these others that the journal knows (a Flume agent's, removed ones), by name. */
	struct status_source *sources;
	unsigned n_sources;
	uint64_t next_block;
	uint64_t blocks;             /* kept */
	uint64_t journal_bytes;      /* used */
	uint64_t journal_file_bytes; /* of the file: what was used at most */
	uint64_t backlog_bytes;      /* of blocks that not all consumers have */
	uint64_t transactions;       /* rows of transactions_cln */
	uint64_t orders;
	uint64_t quarantined;              /* lines of orders */
	struct status_consumer *consumers; /* table, view, and sinks by name; on a cluster shippers, and sinks */
	unsigned n_consumers;
	bool on_cluster; /* what follows, but the daemon, is there, and not known here: 0 */
	uint64_t customers;
	uint64_t accounts;
	uint64_t marked;                           /* of them: wait to be made again out of the whole history */
	char other_programme[PROGRAMME_HASH_TEXT]; /* that made them, when it is not today's: its hash; all wait then */
	unsigned loyalty_partitions;
	char loyalty_last[16];   /* newest data_dt; "" when there is none */
	int64_t loyalty_last_us; /* when a partition was last made; 0: never */
	struct live daemon;      /* since its start; daemon.now is NULL when none ever ran */
	struct error daemon_err; /* its code is set when what the daemon tells cannot be read: the rest can */
};

/* Reads one moment. Parts that are not there yet are zero. ERROR_CORRUPT, ERROR_IO. */
int status_read(const struct deployment *deployment, struct status *out, struct error *err);
void status_release(struct status *status);

#endif
