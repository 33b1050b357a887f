/*
 * Making the batch layer's tables on a cluster: events through the kernel, which runs on Spark's executors, and the
 * tables that come of it. What batch/rebuild.h and batch/refresh.h are on one machine; the tables are the same, row for
 * row.
 *
 *     const struct cluster_job job = {.tables = &tables, .programme = programme, …};
 *     rc = cluster_rebuild(&job, &report, err);
 *     rc = cluster_refresh(&job, &from, &report, err);
 *
 * One start of Spark: the tables are made where they are missing; events, grouped and sorted by customer, go through
 * punchcard-fold on each executor (TRANSFORM); what comes out is staged once, in the table punchcard_fold_rows; it is
 * counted on both sides, and only then loyalty (by the models), ledger, balances and, last, account_state are overwritten,
 * partition by partition, each staged by Spark and moved; what has no rows any more is emptied by a second start. So a run that fails before that changes nothing; one that
 * fails in between leaves some partitions of before and some new ones, each of them whole, and is to be repeated.
 *
 * refresh goes on from the states of an earlier day S, with the events behind it. Customers for whom that is not enough
 * are folded whole: those of whom an event of S or before came in since (its file is not in the cut that the states
 * were made of), and those of a refund whose order came before. Of the ledger's days up to S only those are written
 * again on which their rows turn out otherwise.
 *
 * Nobody else may make these tables meanwhile.
 */
#ifndef PUNCHCARD_CLUSTER_JOB_H
#define PUNCHCARD_CLUSTER_JOB_H

#include "cluster/fold_sql.h"

struct cluster_job {
	const struct cluster_tables *tables;
	const struct programme *programme; /* prepared; that of … */
	const char *programme_path;        /* … this file, which is shipped, named programme.yaml */
	const char *other_path;            /* simulate: another programme's file, shipped as other.yaml; NULL: none */
	const char *fold_path;             /* the program punchcard-fold; see cluster_find_fold */
	const char *models_dir;
	int32_t day; /* the last one: days since 1970-01-01, in the programme's timezone */
	const struct cluster_cut
		*cut;      /* which files of transactions_cln count; NULL: all that are there when it begins */
	bool keeps_ledger; /* a later day was made: the ledger is that day's, and stays as it is */
	/* How Spark is started, and whom it tells how it goes; files, row, progress and context are set by the run. */
	struct spark_options spark;
	bool (*progress)(void *context, const struct spark_progress *progress);
	void *context;
};

/* The states to go on from: of the same programme. */
struct cluster_from {
	int32_t day;                   /* S, before the job's day */
	const struct cluster_cut *cut; /* the files that they and the ledger were made of; NULL: all of job->cut */
	int64_t customers;             /* so many states must be there, or it is ERROR_CORRUPT; 0: not known */
};

struct cluster_report {
	int64_t rows; /* that went through the kernel */
	int64_t customers;
	int64_t events;
	int64_t postings;
	/* Of a refresh: customers who were folded whole, and days of the ledger up to S that changed. */
	int64_t marked;
	int64_t rewritten;
	int64_t rejected[REJECT_MAX + 1]; /* by reason */
	unsigned vanished;                /* partitions that have no rows any more, and were emptied */
};

/* Errors as spark_run's; ERROR_CORRUPT when rows were lost between the kernel and Spark, or an executor's kernel
 * refused its input. */
int cluster_rebuild(const struct cluster_job *job, struct cluster_report *report, struct error *err);
int cluster_refresh(const struct cluster_job *job, const struct cluster_from *from, struct cluster_report *report,
		    struct error *err);

/* The statements, for people and tests; `from` NULL: of a rebuild. */
int cluster_job_script(const struct cluster_job *job, const struct cluster_from *from, struct spark_script **out,
		       struct error *err);

/* The program punchcard-fold beside this one's binary, or in ../lib/punchcard of it. The caller frees *out.
 * ERROR_NOT_FOUND. */
int cluster_find_fold(char **out, struct error *err);

#endif
