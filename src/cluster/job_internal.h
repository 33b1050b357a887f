/*
 * What the files of a job share: what is shipped (ship.c), the statements (job_script.c), the run (job.c).
 */
#ifndef PUNCHCARD_CLUSTER_JOB_INTERNAL_H
#define PUNCHCARD_CLUSTER_JOB_INTERNAL_H

#include "cluster/job.h"

#define SHIP_PROGRAM   "punchcard-fold"
#define SHIP_PROGRAMME "programme.yaml"
#define SHIP_OTHER     "other.yaml"
#define SHIP_MAX       3u

struct shipped {
	char *dir;
	char *files[SHIP_MAX];
	unsigned n_files;
};

/* Copies them. ship_close also after an error, and of one that was zeroed. */
int ship_open(const struct cluster_job *job, struct shipped *shipped, struct error *err);
void ship_close(struct shipped *shipped);

/* A condition on rows of transactions_cln: events from the start of `first` (DAY_MIN: all) to the end of `last`. NULL: out of memory. The
 * caller frees it. */
char *job_condition(const struct cluster_job *job, int32_t first, int32_t last);

#endif
