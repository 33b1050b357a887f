/*
 * A deployment: a directory with punchcard.yaml, programme.yaml, models/ and data/.
 *
 *     struct deployment *d = NULL;
 *     rc = deployment_open("shop", DEPLOYMENT_WRITE, "collect", &d, err);
 *     …
 *     deployment_close(d);
 *
 * Two may write beside each other, one of each kind, and any number read. Each kind has what only it may write:
 *
 *     DEPLOYMENT_WRITE     batch writer   load, refresh,   data/lock          customers, customers_cln, ledger, loyalty, balances,
 *                                         rebuild                             account_state; profiles of the view; customers-… of
 *                                                                             data/quarantine; data/swap; data/tmp/batch
 *     DEPLOYMENT_COLLECT   collector      collect, run     data/collect.lock  journal; transactions_cln; accounts and marks of the
 *                                                                             view; orders-… of data/quarantine; data/tmp/collect
 *
 * Both may add to data/programmes. A writer holds an exclusive lock (open file description lock, so the kernel frees it when
 * the process dies) on the file of its kind, in which its process id, command and start time stand; another one of its kind
 * gets ERROR_LOCKED and is told these. Readers take no lock.
 */
#ifndef PUNCHCARD_CONFIG_DEPLOYMENT_H
#define PUNCHCARD_CONFIG_DEPLOYMENT_H

#include "base/error.h"
#include "config/config.h"

#include <stdbool.h>
#include <sys/types.h>

enum deployment_mode {
	DEPLOYMENT_READ = 0,
	DEPLOYMENT_WRITE = 1,
	DEPLOYMENT_COLLECT = 2,
};

/* In data/ of a deployment that was moved to a cluster (serving/migrate.h): where to. It has no writers any more. */
#define DEPLOYMENT_MOVED       "migrated"
#define DEPLOYMENT_COMMAND_MAX 40u /* bytes of a command's name in a lock */

struct deployment {
	char *dir;            /* absolute, without a trailing slash */
	char *data_dir;       /* <dir>/data */
	char *journal_dir;    /* <dir>/data/journal */
	char *view_dir;       /* <dir>/data/view */
	char *warehouse_dir;  /* <dir>/data/warehouse: <table>/… */
	char *quarantine_dir; /* <dir>/data/quarantine */
	char *tmp_dir;    /* staging and spills of a writer: <dir>/data/tmp/batch or …/collect; NULL for a reader */
	char *models_dir; /* <dir>/models */
	struct config *config;
	struct programme *programme;
	struct buf programme_text; /* programme.yaml, as it was read */
	enum deployment_mode mode;
	int lock_fd;
	char *shown_dir; /* the directory in messages */
	char command[DEPLOYMENT_COMMAND_MAX + 1];
	const struct deployment *beside; /* whose the rest is, when it was opened beside another */
};

/* Who has a lock, by what stands in its file. */
struct deployment_holder {
	pid_t pid;
	char command[64];
	char since[20]; /* yyyy-mm-dd hh:mm:ss, UTC */
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
/* Opens one. ERROR_CONFIG when dir has no punchcard.yaml (the message says `punchcard init`). A writer makes missing
 * directories of data/, takes the lock of its kind or fails with ERROR_LOCKED, and empties its temporary directory. */
int deployment_open(const char *dir, enum deployment_mode mode, const char *command, struct deployment **out,
		    struct error *err);
/* For who looks what is wrong with one: opens as much as there is, to be read. What cannot be read is NULL, and its error tells why; with
 * another directory's (*out is NULL then) it is config_err. Returns 0 when there is something. */
int deployment_open_partly(const char *dir, struct deployment **out, struct error *config_err,
			   struct error *programme_err);
/* Takes the lock of the other kind too, for a writer that has work of that kind to do. *out is the same deployment, of that
 * mode and with that temporary directory; the rest it shares with `deployment`, which must outlive it. ERROR_LOCKED as above.
 * Nobody waits for a lock, so there is no order to take them in. */
int deployment_open_beside(const struct deployment *deployment, enum deployment_mode mode, struct deployment **out,
			   struct error *err);
/* Gives the lock back. NULL is fine. */
void deployment_close(struct deployment *deployment);
/* Exchanges what was read of the files (config and programme) with that of `fresh`, another opening of the same deployment. Not
 * while anybody uses it. */
void deployment_adopt(struct deployment *deployment, struct deployment *fresh);
/* Who writes, of that kind, at this moment: false when nobody does, or he has not said yet who he is. Takes no lock. */
bool deployment_holder(const struct deployment *deployment, enum deployment_mode mode, struct deployment_holder *out);
/* Keeps the programme for ever, durably: the text of programme.yaml, as it was read, becomes data/programmes/<hash_text>.yaml,
 * unless that is there already. For a writer, before it writes anything that names the hash; both kinds may at once. Errors as
 * file_write_durable. */
int deployment_keep_programme(const struct deployment *deployment, struct error *err);
/* Heap path "<dir>/<relative>", or a copy of `relative` when it is absolute; NULL when out of memory. Caller frees. */
char *deployment_path(const struct deployment *deployment, const char *relative);

#endif
