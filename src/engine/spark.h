/*
 * The SQL engine of a cluster: Spark, a process of its own that is started for a script of statements and ends with it.
 *
 *     struct spark_script *script = spark_script_new();
 *     rc = spark_script_add(script, "the table loyalty", "CREATE TABLE IF NOT EXISTS …", err);
 *     rc = spark_script_add_model(script, models_dir, "loyalty", "INSERT OVERWRITE TABLE t SELECT * FROM (", ")", err);
 *     rc = spark_script_add_rows(script, "its rows", "SELECT count(*) AS n FROM loyalty", err);
 *     rc = spark_run(&(struct spark_options){.command = "spark-sql", .master = "yarn", .tmp_dir = tmp}, script, err);
 *     spark_script_free(script);
 *
 * Statements run one after the other; the first that fails ends the run. What Spark is told stands in two files of a
 * private directory, which goes when the run has ended: properties and statements. The session's zone is UTC, ANSI is
 * on, texts are UTF-8, ${…} is no variable. It is driven by its options, stdout, stderr and exit code alone: no JVM in
 * this process.
 *
 * Errors: ERROR_SQL with Spark's message, in the words of its error class; of a model with the model's own file and
 * line before it, as engine_run_model has it. ERROR_INTERRUPTED when it was told to stop. ERROR_NOT_FOUND or ERROR_IO
 * when it cannot be started, ERROR_LOCKED when an embedded metastore (Derby) is open in another process.
 * ERROR_NO_SPACE, ERROR_NO_MEMORY where Spark says so. ERROR_CONFIG: a setting is one of ours.
 *
 * Spark does not outlive the thread that runs it: when the process is killed, so is Spark's driver.
 *
 * Starting costs some ten seconds of CPU: put all that belongs together into one script.
 */
#ifndef PUNCHCARD_ENGINE_SPARK_H
#define PUNCHCARD_ENGINE_SPARK_H

#include "base/buf.h"
#include "base/error.h"

#include <stdbool.h>
#include <stdint.h>

/* ---- a script ---- */

struct spark_script;

struct spark_script *spark_script_new(void); /* NULL: out of memory */
void spark_script_free(struct spark_script *script);
/* A statement of ours, without a semicolon. `what` names it for people ("writing the table ledger"). Both are copied.
 * ERROR_NO_MEMORY. */
int spark_script_add(struct spark_script *script, const char *what, const char *sql, struct error *err);
/* One SELECT, each of whose rows is given to options->row as a JSON object (all columns, NULL too; times to the
 * microsecond). */
int spark_script_add_rows(struct spark_script *script, const char *what, const char *select, struct error *err);
/* <models_dir>/<name>.sql between two texts of ours, as one statement; errors as engine_run_model's. */
int spark_script_add_model(struct spark_script *script, const char *models_dir, const char *name, const char *before,
			   const char *after, struct error *err);
/*
 * A query of a person, which is to read and nothing else, between two texts of ours, as spark_script_add_rows; errors as those of a model,
 * with `name` for its file. It is one SELECT, WITH … SELECT, VALUES or TABLE, whose parentheses are closed, so that what stands around it
 * is; comments are left out. ERROR_USAGE: it is another statement, none, or more than one, or it has what could write or start
 * programs (TRANSFORM … USING, reflect), or what Spark's shell would split wrongly (a line feed in a text, a raw text with a backslash).
 * ERROR_SQL: a text, comment or parenthesis is not closed.
 */
int spark_script_add_query(struct spark_script *script, const char *name, struct slice query, const char *before,
			   const char *after, struct error *err);
/* How many statements it has. */
unsigned spark_script_count(const struct spark_script *script);
/* Statements are counted from 0, in the order in which they are added. All of them, as they are given to Spark, for people
 * and tests. ERROR_NO_MEMORY. */
int spark_script_text(const struct spark_script *script, struct buf *out);

/* ---- a run ---- */

struct spark_progress {
	unsigned statement; /* that runs, of … */
	unsigned statements;
	const char *what;
	/* Of the stage that runs; tasks is 0 when Spark has not said. */
	unsigned stage;
	unsigned tasks_done;
	unsigned tasks;
};

struct spark_setting {
	const char *key;
	const char *value;
};

#define SPARK_WORDS_MAX 256u

struct spark_options {
	const char *command; /* spark-sql: a path, or a name to be found in PATH */
	/* Words that stand before what it is told, at most SPARK_WORDS_MAX. */
	const char *const *words;
	unsigned n_words;
	const char *master; /* "yarn", "local[2]", "spark://…"; NULL: as Spark's own configuration says */
	const char *queue;  /* of YARN; NULL: none */
	/* Spark's settings besides: of resources, the metastore, where tables are. What results depend on (zone, ANSI,
	 * how partitions are overwritten) is ours. */
	const struct spark_setting *settings;
	unsigned n_settings;
	/* Files that are copied into the directory in which the executors' programs run. */
	const char *const *files;
	unsigned n_files;
	const char *
		hadoop_user; /* who it is where a cluster believes names (HADOOP_USER_NAME); NULL: as the environment says */
	const char *tmp_dir; /* where the private directory is made */
	/* A row of a statement of spark_script_add_rows: its JSON object, which lives until the call returns (what else
	 * comes on stdout are notices of the JVM). 0, or a code with err set, which ends the run. May be NULL when
	 * there is none. */
	int (*row)(void *context, unsigned statement, struct slice json, struct error *err);
	/* Called when a statement begins, and some times a second, in the caller's thread; false ends the run with ERROR_INTERRUPTED: Spark is asked
	 * to end (SIGTERM), and made to after some seconds. May be NULL. */
	bool (*progress)(void *context, const struct spark_progress *progress);
	void *context;
};

/* Blocks until Spark has ended. Any thread; several may run at once, each with a metastore of its own or a shared
 * service. */
int spark_run(const struct spark_options *options, const struct spark_script *script, struct error *err);

/* ---- pieces of JSON, as Spark writes it ---- */

/* The value of a key of a flat object: a text without its quotes, unescaped into `out`; a number, true or false as it
 * stands. false: it has no such key, or it is null, or out of memory. Enough for to_json of a struct of plain columns. */
bool spark_json_get(struct slice json, const char *key, struct buf *out);
/* The same as a whole number. */
bool spark_json_get_int(struct slice json, const char *key, int64_t *out);

#endif
