/*
 * punchcard.yaml and programme.yaml, read and checked.
 *
 *     struct config *config = NULL;
 *     if (config_load("shop/punchcard.yaml", &config, err) < 0)
 *             …   // "shop/punchcard.yaml:12: sources[0].format: 'clasic' is no format; expected classic, ndjson or an order
 *             // mapping (receipts)"
 *     config_free(config);
 *
 * Everything is read by libcyaml, strictly: an unknown key, a missing one, a value of the wrong type or out of range is an
 * ERROR_CONFIG whose message begins with "file:line: key: " and says what was expected. A loaded config is immutable.
 */
#ifndef PUNCHCARD_CONFIG_CONFIG_H
#define PUNCHCARD_CONFIG_CONFIG_H

#include "base/error.h"
#include "loyalty/programme.h"

#include <stdbool.h>
#include <stdint.h>

enum customer_id_type {
	CUSTOMER_ID_INTEGER = 0,
	CUSTOMER_ID_TEXT = 1,
};

enum when_done {
	WHEN_DONE_RENAME = 0, /* a suffix is put behind the name */
	WHEN_DONE_MOVE = 1,   /* into the directory move_to */
	WHEN_DONE_DELETE = 2,
};

/* One spool directory. */
struct config_source {
	char *name;    /* unique; [a-z0-9_-], 1 to 64 bytes: it stands in transactions_cln.source */
	char *dir;     /* as written; relative to the deployment */
	char *pattern; /* fnmatch(3) of the file's name; "*" unless set */
	char *format;  /* "classic", "ndjson" or the name of an order mapping */
	enum when_done when_done;
	char *suffix; /* ".COMPLETED" unless set; with rename, and with delete for files that have quarantined lines; else NULL */
	char *move_to; /* with move: relative to the deployment */
	/* What more text could change at a file's end is not taken, and no file moved or deleted, before nobody has written
	 * to it for so long; 2000 unless set, 0: files come whole. */
	uint32_t settle_ms;
};

struct config_strings {
	char **items;
	unsigned count;
};

/* How an order CSV with a header is read. Values of columns are names in the header; NULL: the file has none. */
struct config_order_mapping {
	char *name;
	char *delimiter;                /* one character; "," unless set */
	char *timezone;                 /* of date and time; the programme's unless set */
	struct config_strings event_id; /* one or more columns; joined by "/" they are the event's id */
	char *line;                     /* a column that tells the lines of one order apart */
	char *customer;                 /* column */
	struct config_strings guest;    /* values of that column that mean "nobody"; "" and "0" unless set */
	char *date;                     /* column; may hold date and time */
	char *date_format;              /* %Y %m %d %H %M %S %y %s %b %p %I and literal text; see src/base/timefmt.h */
	char *time;                     /* column, or NULL when `date` has it */
	char *time_format;
	char *store;
	char *sku;
	char *menu;
	char *quantity;     /* 1 when NULL */
	char *price;        /* amount / quantity when NULL … */
	char *amount;       /* … quantity × price when NULL; one of the two must be there */
	char *decimal_mark; /* "." or ","; "." unless set */
};

/* How a customer CSV with a header is read. customer is required. */
struct config_customer_mapping {
	char *name;
	char *delimiter;
	char *customer;
	char *full_name;
	char *first_name; /* first_name and last_name, when there is no full_name */
	char *last_name;
	char *email;
	char *since;
	char *card;
	char *birth_date;
	char *birth_year;
	char *gender;
	char *home_store;
	char *date_format;             /* of since and birth_date; "%Y-%m-%d" unless set */
	struct config_strings male;    /* codes of gender; "M" unless set */
	struct config_strings female;  /* "F" unless set */
	struct config_strings neither; /* "N" and "" unless set */
};

struct config_menu_item {
	char *name;  /* unique; no '|' and no blank at its ends: it stands in a classic order line */
	char *price; /* as written */
	int64_t price_minor;
};

struct config {
	char *path;       /* of the file, for messages */
	uint32_t version; /* of the file's layout: 1 */
	enum customer_id_type customer_id;
	char *customer_format; /* "classic" or the name of a customer mapping */
	struct config_source *sources;
	unsigned n_sources;
	struct config_order_mapping *order_mappings;
	unsigned n_order_mappings;
	struct config_customer_mapping *customer_mappings;
	unsigned n_customer_mappings;
	struct config_menu_item *menu; /* of `generate` */
	unsigned n_menu;
	uint32_t future_limit_h;      /* orders later than now plus this are quarantined; 24 unless set */
	uint32_t journal_map_gib;     /* most the journal may grow to; 64 unless set */
	uint32_t journal_retention_h; /* how long consumed blocks are kept; 24 unless set */
	uint32_t view_map_gib;        /* 64 unless set */
	uint32_t engine_memory_mib;   /* 512 unless set */
	uint32_t engine_threads;      /* 0: all cores */
};

/* Loads and checks. ERROR_CONFIG as above, ERROR_NOT_FOUND or ERROR_IO when the file cannot be read. *out is the caller's, to
 * be freed by config_free, and written on success only. Any thread; blocks on the file. */
int config_load(const char *path, struct config **out, struct error *err);
void config_free(struct config *config);
/* NULL when there is none of that name. The result lives as long as config. */
const struct config_order_mapping *config_order_mapping(const struct config *config, const char *name);
const struct config_customer_mapping *config_customer_mapping(const struct config *config, const char *name);
const struct config_source *config_source(const struct config *config, const char *name);

/* programme.yaml; same errors. A programme that is prepared (loyalty/programme.h), to be freed by programme_free. */
int programme_load(const char *path, struct programme **out, struct error *err);
/* The same, and the file's text as it was read, appended to `text`. */
int programme_load_text(const char *path, struct buf *text, struct programme **out, struct error *err);

/* Told of something odd, but legal, as "file:line: key: …". The text is gone when it returns. */
typedef void programme_warn(void *context, const char *text);
/* Loads it, and warns of gaps between versions of a rule, of rewards in a ledger in which nothing earns, and the like. */
int programme_check(const char *path, programme_warn *warn, void *context, struct programme **out, struct error *err);

/* A worked programme to start from, in the binary; templates/programmes has them. */
struct programme_example {
	struct slice name;    /* "stamp-card" */
	struct slice summary; /* one line */
	struct slice text;    /* a whole programme.yaml */
};
/* The i-th, from 0, by name; false when there are no more. What it points to lives for ever. */
bool programme_example(unsigned i, struct programme_example *out);

#endif
