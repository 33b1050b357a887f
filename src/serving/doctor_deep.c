/* What only a start of Spark tells. */
#include "base/limits.h"
#include "cluster/trial.h"
#include "serving/doctor_internal.h"

#include <stdlib.h>

/* YARN may have to find room first. */
#define LIMIT_S 300u

static const char *const NAMES[] = {
	[TRIAL_START] = "Spark, tried",
	[TRIAL_METASTORE] = "metastore",
	[TRIAL_FOLD] = "kernel on Spark",
	[TRIAL_DONE] = "Spark",
};

static const char *advice_of(enum trial_step step, int code)
{
	if (code == ERROR_LIMIT)
		return "has the queue room? (`yarn application -list`, cluster: spark: queue, executors in conf)";
	switch (step) {
	case TRIAL_START:
		return "does the same command run in a shell, with `-e 'SELECT 1'`? then look at cluster: spark: "
		       "master and conf; a Hive metastore that is configured (spark.hadoop.hive.metastore.uris) must "
		       "be up";
	case TRIAL_METASTORE:
		return code == ERROR_LOCKED
			       ? NULL
			       : "is the metastore's service up, and reached from here? "
				 "(spark.hadoop.hive.metastore.uris in cluster: spark: conf, or hive-site.xml)";
	default:
		return "executors must be able to run punchcard-fold: the same processor as here, and a directory for "
		       "Spark's files that is not mounted noexec";
	}
}

static void tell_good(struct doctor *doctor, const struct cluster_trial *trial)
{
	static const char *const FOUND[] = {
		[TRIAL_START] = "it starts",
		[TRIAL_METASTORE] = "it answers",
		[TRIAL_FOLD] = "an order went through punchcard-fold",
	};
	for (enum trial_step step = TRIAL_START; step < TRIAL_DONE && step < trial->failed; step++)
		doctor_tell(doctor, NAMES[step], DOCTOR_OK, NULL, "%s, in %.1f s", FOUND[step],
			    (double)trial->took_us[step] / 1e6);
}

void doctor_deep(struct doctor *doctor)
{
	const struct deployment *const deployment = doctor->deployment;
	struct cluster_trial trial = {.failed = TRIAL_START};
	struct error err = {0};
	_cleanup_free_ char *programme = text_printf("%s/programme.yaml", deployment->dir);
	if (!programme)
		return;
	const int rc = cluster_try_spark(deployment, programme, LIMIT_S, &trial, &err);
	tell_good(doctor, &trial);
	if (rc < 0 && trial.failed <= TRIAL_DONE)
		doctor_tell(doctor, NAMES[trial.failed], DOCTOR_FAIL, advice_of(trial.failed, rc), "%s", err.message);
}
