/*
 * What the files of a job share: what is shipped (ship.c), the statements (job_script.c), the run (job.c).
 */
#ifndef PUNCHCARD_CLUSTER_JOB_INTERNAL_H
#define PUNCHCARD_CLUSTER_JOB_INTERNAL_H

#include "cluster/job.h"

#define SHIP_PROGRAM   "punchcard-fold"
#define SHIP_PROGRAMME "programme.yaml"

struct shipped {
	char *dir;
	char *files[2];
};

/* Copies them. ship_close also after an error, and of one that was zeroed. */
int ship_open(const struct cluster_job *job, struct shipped *shipped, struct error *err);
void ship_close(struct shipped *shipped);

#endif
