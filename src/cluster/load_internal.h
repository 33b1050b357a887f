/* What the files of loading customers share: load.c (the flow), load_files.c (files and their rows), load_table.c (the table). */
#ifndef PUNCHCARD_CLUSTER_LOAD_INTERNAL_H
#define PUNCHCARD_CLUSTER_LOAD_INTERNAL_H

#include "batch/customer_tables.h"
#include "batch/customer_version.h"
#include "cluster/lease.h"
#include "cluster/load.h"

#define LOAD_DIR  "warehouse/_customers"
#define LOAD_ROWS LOAD_DIR "/rows"
#define LOAD_MADE LOAD_DIR "/made"
#define LOAD_SWAP LOAD_DIR "/swap"
#define LOAD_OLD  LOAD_DIR "/old"
#define LOAD_LIVE "warehouse/customers_cln"

/* A file of the command line: its place among all landed files. */
struct load_given {
	size_t index;
	bool known;
};

/* What becomes of a landed file. */
struct load_file {
	char hash[CUSTOMER_HASH_CHARS + 1]; /* of what decides its rows */
	char *rows;                         /* its name in LOAD_ROWS */
};

struct cluster_load {
	struct cluster_session session;
	struct cluster_lease lease;
	struct cluster_batch_hooks hooks;
	struct landing *landing;
	struct load_given *given; /* one a path */
	struct customer_files all;
	struct load_file *files; /* one a landed file, as all.files */
	struct customer_format **formats;
	size_t n_formats;
	struct buf there; /* names in LOAD_ROWS, each with a NUL */
	char version[CUSTOMER_HASH_CHARS + 1];
	uint64_t customers;
	bool changed;
};

/* Lists what has landed, stages the paths, and opens new files, so that a wrong header is seen before a long work. */
int load_files_open(struct cluster_load *load, const char *const *paths, size_t n_paths, const char *format,
		    struct error *err);
/* Reads files whose rows are not in the warehouse, and puts their bad lines, then these; counts the given ones; removes
 * rows of what is not there any more. */
int load_files_read(struct cluster_load *load, size_t n_paths, struct error *err);
/* Gives new files their places; removes the bad lines of what is not there any more. */
int load_files_land(struct cluster_load *load, struct error *err);
void load_files_release(struct cluster_load *load);

/* Whether the table in place is of this version, and then its customers. */
int load_table_is_there(struct cluster_load *load, bool *there, struct error *err);
/* By Spark, into LOAD_MADE. */
int load_table_make(struct cluster_load *load, struct error *err);
/* What was made gets its place. */
int load_table_publish(struct cluster_load *load, struct error *err);
/* A version for cells of profiles, greater than any before, whatever the clocks of edges say; noted before it is given. With the lease. */
int load_table_next_version(const struct cluster_session *session, int64_t now_ms, int64_t *version, struct error *err);
/* Profiles of the table in place, unless HBase has them. */
int load_table_profiles(struct cluster_load *load, struct error *err);

#endif
