/*
 * Compacts a deployment, as the daemon does now and then: for the tests.
 *
 *     compact_steps DIR [min_files [quiet_s [leave]]]
 *
 * Goes on until there is nothing to merge and, without `leave`, nothing to remove, for which it waits for who reads. Prints how
 * many files were merged, how many removed, and how many covered ones are left.
 */
#include "batch/committed.h"
#include "batch/compact.h"
#include "store/journal.h"

#include <stdio.h>
#include <stdlib.h>
#include <time.h>

static int read_offset(const struct deployment *deployment, uint64_t *offset, struct error *err)
{
	const struct journal_options options = {.map_gib = deployment->config->journal_map_gib, .read_only = true};
	struct journal *journal = NULL;
	struct journal_reader *reader = NULL;
	int rc = journal_open(deployment->journal_dir, &options, &journal, err);
	if (rc == 0)
		rc = journal_reader_open(journal, &reader, err);
	if (rc == 0)
		rc = journal_reader_offset(reader, TABLE_CONSUMER, offset, err);
	journal_reader_close(reader);
	journal_close(journal);
	return rc;
}

int main(int argc, char **argv)
{
	const struct compact_options options = {
		.min_files = argc > 2 ? (uint32_t)strtoul(argv[2], NULL, 10) : 0,
		.quiet_s = argc > 3 ? (uint32_t)strtoul(argv[3], NULL, 10) : 0,
	};
	const bool waits = argc <= 4;
	struct error err = {0};
	struct deployment *deployment = NULL;
	struct compactor *compactor = NULL;
	struct compact_report report = {.files = 1};
	uint64_t offset = 0;
	unsigned merged = 0;
	unsigned removed = 0;
	int rc = deployment_open(argc > 1 ? argv[1] : ".", DEPLOYMENT_COLLECT, "compact", &deployment, &err);
	if (rc == 0)
		rc = read_offset(deployment, &offset, &err);
	if (rc == 0)
		rc = compactor_open(deployment, &options, &compactor, &err);
	while (rc == 0 && (report.files || report.blocked || (waits && report.covered))) {
		rc = compactor_step(compactor, offset, &report, &err);
		merged += rc == 0 ? report.files : 0;
		removed += rc == 0 ? report.removed : 0;
		if (rc == 0 && !report.files && (report.covered || report.blocked))
			nanosleep(&(struct timespec){.tv_nsec = 10000000}, NULL);
	}
	compactor_close(compactor);
	deployment_close(deployment);
	if (rc < 0)
		(void)fprintf(stderr, "compact_steps: %s\n", err.message);
	else
		(void)printf("%u merged, %u removed, %u covered\n", merged, removed, report.covered);
	return rc < 0;
}
