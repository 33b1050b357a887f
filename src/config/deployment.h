/*
 * A deployment: a directory with punchcard.yaml, programme.yaml, models/ and data/.
 *
 *     struct deployment *d = NULL;
 *     rc = deployment_open("shop", DEPLOYMENT_WRITE, "collect", &d, err);
 *     …
 *     deployment_close(d);
 *
 * One writer at a time, any number of readers. The writer holds an exclusive lock (open file description lock, so the
 * kernel frees it when the process dies) on data/lock, in which its process id, command and start time stand; another
 * writer gets ERROR_LOCKED and is told these. Readers take no lock.
 */
#ifndef PUNCHCARD_CONFIG_DEPLOYMENT_H
#define PUNCHCARD_CONFIG_DEPLOYMENT_H

#include "base/error.h"
#include "config/config.h"

enum deployment_mode {
	DEPLOYMENT_READ = 0,
	DEPLOYMENT_WRITE = 1,
};

struct deployment {
	char *dir;            /* absolute, without a trailing slash */
	char *data_dir;       /* <dir>/data */
	char *journal_dir;    /* <dir>/data/journal */
	char *view_dir;       /* <dir>/data/view */
	char *warehouse_dir;  /* <dir>/data/warehouse: <table>/… */
	char *quarantine_dir; /* <dir>/data/quarantine */
	char *tmp_dir;        /* <dir>/data/tmp: staging and spills, emptied by whoever takes the write lock */
	char *models_dir;     /* <dir>/models */
	struct config *config;
	struct programme *programme;
	struct buf programme_text; /* programme.yaml, as it was read */
	enum deployment_mode mode;
	int lock_fd;
};

/*
 * Whether files below this path can be read as tables: ERROR_CONFIG when it has one of * ? [ \ (SQL engines take it for a
 * pattern, and would read other deployments) or a directory named key=value (they take it for a partition, and would put
 * the value into every row). A relative path is looked at as it is.
 */
int deployment_check_path(const char *path, struct error *err);

/* Makes a deployment in `dir` (made if missing; must hold no punchcard.yaml): both files with every key documented, models/,
 * data/ and spool/. ERROR_EXISTS when there is one already, and nothing is changed. */
int deployment_init(const char *dir, struct error *err);
/* Opens one. ERROR_CONFIG when dir has no punchcard.yaml (the message says `punchcard init`). WRITE: makes missing
 * directories of data/, takes the lock or fails with ERROR_LOCKED, and empties data/tmp. */
int deployment_open(const char *dir, enum deployment_mode mode, const char *command, struct deployment **out,
		    struct error *err);
void deployment_close(struct deployment *deployment);
/* Keeps the programme for ever, durably: the text of programme.yaml, as it was read, becomes data/programmes/<hash_text>.yaml,
 * unless that is there already. For a writer, before it writes anything that names the hash. Errors as file_write_durable. */
int deployment_keep_programme(const struct deployment *deployment, struct error *err);
/* Heap path "<dir>/<relative>", or a copy of `relative` when it is absolute; NULL when out of memory. Caller frees. */
char *deployment_path(const struct deployment *deployment, const char *relative);

#endif
