/* Shared by doctor.c (the machine and the deployment) and doctor_cluster.c. */
#ifndef PUNCHCARD_SERVING_DOCTOR_INTERNAL_H
#define PUNCHCARD_SERVING_DOCTOR_INTERNAL_H

#include "base/error.h"
#include "config/deployment.h"
#include "serving/doctor.h"
#include "serving/status.h"

struct doctor {
	const struct deployment *deployment; /* config, programme or both may be missing in it; NULL: it is none */
	int64_t now_us;
	doctor_fn *take;
	void *context;
	enum doctor_result worst;
	bool deep;
	bool has_status;
	struct status status;
};

/* Tells a check; the advice may be NULL. */
void doctor_tell(struct doctor *doctor, const char *name, enum doctor_result result, const char *advice,
		 const char *format, ...) __attribute__((format(printf, 5, 6)));
/* The systems of the cluster; config is there. */
void doctor_cluster(struct doctor *doctor);
/* doctor_deep.c: Spark, by starting it; config and programme are there. */
void doctor_deep(struct doctor *doctor);

/* doctor_edge.c: what collecting would be refused for. Config is there, and what was told before is not told again. */

struct warehouse;
struct cells;
/* By the deployment alone. */
void doctor_edge_journal(struct doctor *doctor);
/* By what HDFS has of the edge, and by whose its sources are. */
void doctor_edge_marks(struct doctor *doctor, struct warehouse *warehouse);
void doctor_edge_sources(struct doctor *doctor, struct warehouse *warehouse);
/* By what HBase has of it; NULL: it has nothing. */
void doctor_edge_rows(struct doctor *doctor, struct cells *cells);

#endif
