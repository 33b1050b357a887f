/*
 * What the files of the Spark driver share.
 */
#ifndef PUNCHCARD_ENGINE_SPARK_INTERNAL_H
#define PUNCHCARD_ENGINE_SPARK_INTERNAL_H

#include "engine/spark.h"

struct spark_statement {
	char *what;
	struct buf sql;
	bool rows; /* of spark_script_add_rows */
	/* Of a model; else path is NULL. */
	char *path;
	struct buf model; /* as the file has it */
	size_t model_at;  /* where it stands in sql */
};

struct spark_script {
	struct spark_statement *statements;
	unsigned n;
	unsigned cap;
};

/* What makes JSON of a SELECT that stands between the two. Without the format the times are cut to milliseconds. */
#define SPARK_ROWS_BEFORE                                                                            \
	"SELECT to_json(struct(*), map('ignoreNullFields', 'false', 'timestampFormat', 'yyyy-MM-dd " \
	"HH:mm:ss.SSSSSS', 'timestampNTZFormat', 'yyyy-MM-dd HH:mm:ss.SSSSSS')) FROM (\n"
#define SPARK_ROWS_AFTER "\n)"

/* Adds an empty statement, which spark_script_free frees once it is counted (script->n++). NULL: out of memory. */
struct spark_statement *spark_script_new_statement(struct spark_script *script, const char *what);

/* What stands in the row of stdout that tells of a statement's begin, before its number; behind the last one, how many there are. */
#define SPARK_MARK "punchcard-statement "

/* What Spark is told, in a directory of its own. */
struct spark_files {
	char *dir;
	char *conf;
	char *sql;
};
/* spark_files_remove also after an error, and of one that was zeroed. */
int spark_files_write(const struct spark_options *options, const struct spark_script *script, struct spark_files *files,
		      struct error *err);
void spark_files_remove(struct spark_files *files);

/* What Spark said last of why a run failed: `said` is the end of its stderr. `statement` is the one that ran, or NULL.
 * `status` as waitpid has it. Sets err; returns its code. */
int spark_explain_failure(const struct spark_statement *statement, struct slice said, int status, struct error *err);

#endif
