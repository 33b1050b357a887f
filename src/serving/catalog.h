/*
 * All tables of a deployment, by name, for an engine.
 *
 *     struct catalog *catalog = NULL;
 *     rc = catalog_attach(engine, deployment, &catalog, err);     // SELECT … FROM customers_cln, loyalty, transactions_cln …
 *     …
 *     engine_close(engine);
 *     catalog_detach(catalog);
 *
 * customers_cln, loyalty, balances and ledger are the Parquet files that were there at this moment, transactions_cln,
 * quarantine, accounts and account_balances are speed_attach's. A table without files is empty, with its columns. Writers
 * swap whole directories while readers run: a statement that finds a file gone fails with ERROR_NOT_FOUND; attach to a new
 * engine and run it again.
 */
#ifndef PUNCHCARD_SERVING_CATALOG_H
#define PUNCHCARD_SERVING_CATALOG_H

#include "base/error.h"
#include "config/deployment.h"
#include "engine/engine.h"

struct catalog;

/* The deployment must outlive the catalog. Takes some milliseconds: the first file of each table is looked into. */
int catalog_attach(struct engine *engine, const struct deployment *deployment, struct catalog **out, struct error *err);
/* After engine_close: the engine reads from what it holds. NULL is fine. */
void catalog_detach(struct catalog *catalog);

/* Names of the tables, for messages: "accounts, balances, customers_cln, ledger, loyalty …". */
const char *catalog_tables(void);

/*
 * After a statement failed with ERROR_CORRUPT: finds the damaged file, by the message or else by reading every file with
 * `engine`, and makes the message name it and say what to do. *err stays ERROR_CORRUPT; it is left as it was when no file
 * turns out to be damaged, and becomes ERROR_INTERRUPTED when the engine is interrupted meanwhile.
 */
void catalog_name_damage(struct engine *engine, const struct deployment *deployment, struct error *err);

#endif
