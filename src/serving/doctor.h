/*
 * What may be wrong with a deployment and with what it stands on: many small checks, each of which says what it found and what to do.
 *
 *     static int take(void *context, const struct doctor_check *check) …
 *     worst = doctor_run("shop", clock_now_us(), false, take, NULL);      // DOCTOR_FAIL: something does not work
 *
 * It reads, and changes nothing, but on a cluster: a small file is put below hdfs.path and removed, and a cell is put in the row that ends
 * the table `accounts` and erased. What is wrong with one thing keeps it from nothing else: with a punchcard.yaml that cannot be read,
 * the machine is looked at all the same. A system that does not answer costs some seconds. Thread: one at a time.
 */
#ifndef PUNCHCARD_SERVING_DOCTOR_H
#define PUNCHCARD_SERVING_DOCTOR_H

#include <stdbool.h>
#include <stdint.h>

enum doctor_result {
	DOCTOR_OK = 0,
	DOCTOR_WARN = 1, /* it works, and will not for long, or not well */
	DOCTOR_FAIL = 2,
};

struct doctor_check {
	const char *name; /* "free space" */
	enum doctor_result result;
	const char *found;  /* in one line */
	const char *advice; /* what to do; "" when there is nothing */
};

/* Takes a check, which lives until it returns, at once when it is done. */
typedef void doctor_fn(void *context, const struct doctor_check *check);

/* The worst of all results. now_us: UTC. deep: on a cluster Spark is started once (cluster/trial.h), which takes half a minute. */
enum doctor_result doctor_run(const char *dir, int64_t now_us, bool deep, doctor_fn *take, void *context);

/* "ok", "warn", "FAIL". */
const char *doctor_result_name(enum doctor_result result);

#endif
