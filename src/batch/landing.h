/*
 * Where customer files land: data/warehouse/customers/format=<name>/<seq>-<hash>.csv (or .csv.gz), each as it came.
 *
 *     struct landing *landing = NULL;
 *     rc = landing_open(deployment, &landing, err);                          // what has landed before
 *     rc = landing_stage(landing, "members.csv", "classic", &index, &known, err);   // a copy in data/tmp/batch
 *     landing_sync(landing);                                              // to the disk, in the background
 *     …read landing->files[…].path…
 *     rc = landing_commit(landing, err);                                     // there for good
 *     landing_free(landing);                                                 // what was not committed is gone
 *
 * seq: six digits (more when there are more), the order of loading over all formats. hash: XXH3-128 of the file's bytes,
 * so that the same file is seen. A file in these directories whose name is of another form is not ours and is left alone.
 * A landed file that is removed by hand is as if it had never been loaded, after the next load.
 *
 * One landing belongs to one thread at a time; the deployment is open for writing.
 */
#ifndef PUNCHCARD_BATCH_LANDING_H
#define PUNCHCARD_BATCH_LANDING_H

#include "base/error.h"
#include "config/deployment.h"

#include <pthread.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#define LANDING_HASH_CHARS 32u

struct landed_file {
	uint64_t seq;
	char *format;
	char hash[LANDING_HASH_CHARS + 1]; /* lower-case hex */
	bool gzip;
	char *name;       /* as the user finds it: relative to the deployment, data/warehouse/… */
	char *path;       /* where it can be read now */
	char *shown;      /* what messages call it: the user's path for a staged file, else name */
	bool staged;      /* not committed yet */
	int64_t mtime_us; /* when it landed (UTC) */
};

struct landing {
	const struct deployment *deployment;
	struct landed_file *files; /* by seq */
	size_t n_files;
	/* The background sync of staged files. */
	pthread_t thread;
	bool syncing;
	int sync_rc;
	struct error sync_err;
};

/* Lists what has landed. The deployment must outlive *out. */
int landing_open(const struct deployment *deployment, struct landing **out, struct error *err);
/* One in which nothing has landed yet, for who lists elsewhere and adds what is there. */
int landing_new(const struct deployment *deployment, struct landing **out, struct error *err);
/* Adds a file by its name in format=<format>/, if that is one of ours (else nothing is done); its path is "". Before landing_stage. */
int landing_add(struct landing *landing, const char *format, const char *entry, int64_t mtime_us, struct error *err);
/* Waits for the background sync and removes what was staged and not committed. NULL is fine. */
void landing_free(struct landing *landing);
/* Copies a file into data/tmp/batch and adds it behind the others; *index is its place in files. When the same bytes are there
 * already under the same format, nothing is added, *index is that one's, and *known is true. ERROR_INPUT for what is no regular file or
 * changes meanwhile; ERROR_NOT_FOUND, ERROR_IO, ERROR_NO_SPACE. Pointers into files do not survive the call. */
int landing_stage(struct landing *landing, const char *path, const char *format, size_t *index, bool *known,
		  struct error *err);
/* Begins to flush the staged files to the disk; nothing more may be staged. Errors come with landing_commit. */
void landing_sync(struct landing *landing);
/* Waits until the staged files are on the disk and gives them their names. When it fails, what has its name already stays:
 * whole files, that the next load finds. */
int landing_commit(struct landing *landing, struct error *err);

#endif
