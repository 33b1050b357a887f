/* Shared by migrate.c, migrate_files.c and migrate_rows.c. */
#ifndef PUNCHCARD_SERVING_MIGRATE_INTERNAL_H
#define PUNCHCARD_SERVING_MIGRATE_INTERNAL_H

#include "config/deployment.h"
#include "serving/migrate.h"
#include "store/warehouse.h"

struct migrate_file {
	char *local;
	char *remote;        /* below the warehouse's root */
	uint64_t last_block; /* of a file of transactions_cln; else 0 */
	bool customers;      /* of customers_cln */
};

struct migrate {
	struct deployment *from;
	struct deployment *from_collector; /* the other lock of it */
	struct deployment *to;
	struct warehouse *warehouse;
	uint64_t next_block; /* of the old journal; 1: there is none */
	struct migrate_file *files;
	size_t n_files;
	struct migrate_report report;
};

/* Lists what goes into the warehouse. */
int migrate_list_files(struct migrate *migrate, struct error *err);
/* Puts all of it there; and reads it back. */
int migrate_put_files(struct migrate *migrate, struct error *err);
int migrate_check_files(struct migrate *migrate, struct error *err);
void migrate_free_files(struct migrate *migrate);
/* Puts profiles and events into HBase, and reads them back. */
int migrate_rows(struct migrate *migrate, struct error *err);

#endif
