/*
 * What journal and view share of LMDB: opening, error texts, and a guard that turns a damaged file into a message.
 */
#ifndef PUNCHCARD_STORE_ENV_INTERNAL_H
#define PUNCHCARD_STORE_ENV_INTERNAL_H

#include "base/error.h"

#include <lmdb.h>
#include <stdbool.h>
#include <stdint.h>

struct env_options {
	const char *what;   /* "journal" or "customer view", for messages */
	const char *remedy; /* what to do when it is damaged; lives as long as the process */
	uint32_t map_gib;
	unsigned databases;
	bool read_only;
};

/*
 * Opens (and unless read_only makes) the environment in the directory dir. A file that is cut short or no LMDB file is
 * ERROR_CORRUPT. From then on a fault inside the map (SIGBUS, SIGSEGV) or a failed check of LMDB prints what is damaged and
 * what to do, and ends the process with exit code 1: the pages of a damaged tree cannot be read safely.
 */
int env_open(const char *dir, const struct env_options *options, MDB_env **out, struct error *err);
void env_close(MDB_env *env);

/* Translates a code of LMDB; `doing` completes "cannot …". */
int env_error(MDB_env *env, int rc, struct error *err, const char *doing);

#endif
