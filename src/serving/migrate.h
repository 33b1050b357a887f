/*
 * Moving a deployment of one machine to a cluster: its tables into HDFS, its customers and their events into HBase, and its journal into the
 * deployment that collects there from now on.
 *
 *     struct migrate_report report;
 *     rc = migrate_run("shop", "/srv/edge", &report, err);
 *
 * The new deployment is a directory of its own, made by `init`, whose punchcard.yaml has the section `cluster`. It gets what it would have if
 * it had shipped all of the old one's blocks itself, under its own edge's name:
 *
 *     <path>/warehouse/transactions_cln/data_dt=…/orders-<edge>-<first>-<last>.parquet, quarantine/orders-<edge>-…    the same files
 *     <path>/warehouse/{customers,customers_cln,ledger,balances,loyalty}/…, quarantine/customers-….parquet             by their own names
 *     <path>/edges/<edge>/hdfs-table-<next>, hdfs-raw-<next>       the marks that these blocks are there
 *     <path>/edges/<edge>/migrated-<hash of both directories>      that this move has the edge's name
 *     accounts, orders        of each customer the profile and every event, as of that edge, and of the last block of its file
 *     data/journal            of the old one: positions of sources and ids, so that what was collected is had; shippers begin at <next>
 *
 * States are made by the first refresh on the cluster, which folds the whole history once; until then an account is folded of all its
 * events. Raw events (transactions/) begin with the first that is collected there.
 *
 * From its beginning the old deployment is closed to writers, by the file data/migrated, which names the new one; all else of it stays as it
 * is. Everything is put under names that its content determines, and may be done again: after an interruption, the same call goes on. In
 * the end both sides are read: files by their bytes, rows by count and a sum of hashes of keys and values. Only then come marks and
 * journal.
 */
#ifndef PUNCHCARD_SERVING_MIGRATE_H
#define PUNCHCARD_SERVING_MIGRATE_H

#include "base/error.h"

#include <stdbool.h>
#include <stdint.h>

struct migrate_report {
	bool was_done; /* before; nothing was done now, and the rest is 0 */
	uint64_t files;
	uint64_t bytes;
	uint64_t events;    /* of customers, in HBase */
	uint64_t guests;    /* events of nobody, in the table alone */
	uint64_t customers; /* profiles */
	uint64_t next_block;
};

/* Needs both deployments' locks. ERROR_CONFIG: something of the two does not fit, or the old one has events that are not in its table
 * yet; ERROR_EXISTS: the new one has a journal, or something else is on the cluster under its edge's name; ERROR_CORRUPT: what was read
 * back is not what was put. Errors of the warehouse, the cells, the engine. */
int migrate_run(const char *from_dir, const char *to_dir, struct migrate_report *report, struct error *err);

#endif
