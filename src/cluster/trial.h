/*
 * Trying Spark: one start of it, which asks the Hive metastore, and sends one order through punchcard-fold on an executor. It reads no table and
 * makes none (a metastore of one process, Derby's, is made where there is none).
 */
#ifndef PUNCHCARD_CLUSTER_TRIAL_H
#define PUNCHCARD_CLUSTER_TRIAL_H

#include "config/deployment.h"

#include <stdint.h>

enum trial_step {
	TRIAL_START,     /* Spark begins */
	TRIAL_METASTORE, /* SHOW DATABASES */
	TRIAL_FOLD,      /* the kernel on an executor */
	TRIAL_DONE,
};

struct cluster_trial {
	enum trial_step failed;      /* where it did; TRIAL_DONE: it did not */
	int64_t took_us[TRIAL_DONE]; /* about */
};

/* 0, or what is wrong with trial->failed, which is filled in either case. ERROR_LIMIT: it was not through within limit_s, and was ended.
 * `programme_path` is what is shipped. */
int cluster_try_spark(const struct deployment *deployment, const char *programme_path, unsigned limit_s,
		      struct cluster_trial *trial, struct error *err);

#endif
