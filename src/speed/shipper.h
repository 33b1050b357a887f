/*
 * Shippers: consumers of the journal that bring its events to a cluster, each at its own pace. While the cluster is away for hours only
 * the journal grows.
 *
 *     struct shipper *shipper = NULL;
 *     rc = shipper_open(&ship_table, &target, journal, &shipper, err);
 *     rc = shipper_write(shipper, reader, next, err);           // blocks shipper_offset to next - 1
 *     shipper_close(shipper);
 *
 * **Exactly once, by names.** A shipment is blocks first to last, and everything it makes on the cluster has a name that these
 * determine. Before it begins the journal has its end (the *plan*), durably; when it is done, the new offset. So who was killed in between,
 * or never heard the answer, ships the same blocks under the same names, and finds what is there already.
 *
 * Its position stands among the journal's under "\1ship/<name>": varint 1 (version), varint offset, varint end of the shipment that was
 * begun (the offset: none was), varint the first block of all, the edge's name, a slice, and, of a driver with marks in rows, a slice of 16
 * random bytes, which stand for this journal there, and varint 1 when such a mark was put, 0 before. Blocks behind the offset are not
 * trimmed (shippers_pinned), whoever collects.
 *
 * A driver is one file, speed/ship_<what>.c, with one `const struct shipper_driver`. One shipper belongs to one thread at a time.
 */
#ifndef PUNCHCARD_SPEED_SHIPPER_H
#define PUNCHCARD_SPEED_SHIPPER_H

#include "config/deployment.h"
#include "store/block.h"
#include "store/journal.h"

#include <stdbool.h>
#include <stdint.h>

struct shipper;

/* Where to: what of this a driver needs is there. The shipper does not own it. */
struct ship_target {
	const struct deployment *deployment;
	struct warehouse *warehouse;
	struct cells *cells;
	const char *edge;        /* the collector's name */
	uint64_t shipment_bytes; /* of a shipment's largest file, about */
};

struct shipper_driver {
	const char *name; /* "hdfs-table": of its position, and in messages and metrics */
	unsigned percent; /* bytes it makes of a hundred bytes of blocks, about, unless `open` sets another number */
	uint64_t shipment_blocks; /* at most so many in one; 0: any number */
	bool in_warehouse;        /* files; with a mark there (ship_files.h) */
	bool in_rows;             /* cells; with a mark there, which `ship` puts (ship_marks.h) */
	int (*open)(struct shipper *shipper, struct error *err); /* may be NULL */
	/* Whether it is there as it was left, before anything is shipped and now and then. NULL: there is nothing to look at. */
	int (*check)(struct shipper *shipper, struct error *err);
	/* Brings blocks first to next - 1 there, durably. May have been done before, in part or altogether. */
	int (*ship)(struct shipper *shipper, struct journal_reader *reader, uint64_t first, uint64_t next,
		    struct error *err);
	void (*close)(struct shipper *shipper); /* also when open failed; may be NULL */
};

/* What was shipped since it was opened. */
struct shipper_counts {
	uint64_t files;       /* that were put, or were there already; 0 of rows */
	uint64_t rows;        /* of transactions_cln */
	uint64_t events;      /* in rows: but those of guests */
	uint64_t quarantined; /* lines that were set aside */
};

#define SHIPPER_JOURNAL_BYTES 16u

/* How far a shipper is. */
struct shipper_position {
	uint64_t offset;  /* of the next block to ship; 0: it was never opened */
	uint64_t planned; /* behind the last block of the shipment that was begun; offset: none was */
	uint64_t begun;   /* the first block that it ever had to ship */
	bool has_journal; /* of a driver with marks in rows: it may have put one */
	bool marked;      /* and has */
	char journal[SHIPPER_JOURNAL_BYTES];
	struct slice edge;
};

struct shipper {
	const struct shipper_driver *driver;
	struct ship_target target;
	struct journal *journal;
	struct shipper_position at; /* its edge is the target's */
	bool again;                 /* the shipment that was begun was tried before */
	bool checked;               /* what it ships to is as it was left, but for what was broken off */
	struct shipper_counts counts;
	uint64_t put;     /* files, or events of customers, of the shipment that goes on: the driver's */
	unsigned percent; /* driver->percent, unless `open` has set it */
	void *state;      /* the driver's */
};

/* transactions_cln as Parquet, and the quarantine, in a warehouse. */
extern const struct shipper_driver ship_table;
/* Events as lines of JSON (docs/events.md), as they came in, in a warehouse: transactions/source=<name>/. */
extern const struct shipper_driver ship_raw;
/* Customers' events as cells: the accounts and histories of a cluster's view (store/cluster_view.h). */
extern const struct shipper_driver ship_rows;

/* --- for drivers --- */

struct ship_event {
	const struct block_record *record; /* a BLOCK_EVENT */
	struct slice source;
	uint64_t block;
	int64_t taken_us; /* when the block was begun, UTC */
};
typedef int ship_event_fn(void *context, const struct ship_event *event, struct error *err);
/* Gives all events of blocks first to next - 1, in order; each lives until `take` returns, and a negative code of it ends the walk. */
int ship_events(struct journal_reader *reader, uint64_t first, uint64_t next, ship_event_fn *take, void *context,
		struct error *err);

/* --- shipping --- */

/* Goes on where it was; a new one begins with the first block that the journal has. ERROR_CORRUPT: the journal has no longer what is still
 * to be shipped. ERROR_CONFIG: it has shipped as another edge. Errors of the driver's. */
int shipper_open(const struct shipper_driver *driver, const struct ship_target *target, struct journal *journal,
		 struct shipper **out, struct error *err);
/* NULL is fine. */
void shipper_close(struct shipper *shipper);
/* Ships all blocks before `next`, in one shipment or several. After an error what was shipped is: shipper_offset, and the same may be
 * asked for again. */
int shipper_write(struct shipper *shipper, struct journal_reader *reader, uint64_t next, struct error *err);
static inline uint64_t shipper_offset(const struct shipper *shipper)
{
	return shipper->at.offset;
}
/* For a journal that is moved to an edge which has not shipped: sets the position of the driver's shipper, as if it had shipped all blocks
 * before `next` itself (of a warehouse there is to be the mark of that). Nobody may have opened it. */
int shipper_adopt(const struct shipper_driver *driver, const char *edge, struct journal *journal, uint64_t next,
		  struct error *err);
static inline const struct shipper_counts *shipper_counts(const struct shipper *shipper)
{
	return &shipper->counts;
}
/* Looks whether what it ships to is there, and as it was left: for a time in which nothing is to be shipped, and before the first
 * shipment. */
int shipper_look(struct shipper *shipper, struct error *err);
/* Of a driver with marks in rows, for a system that lost what it had: begins again with the first block that the journal still has, and
 * takes whatever is there of this journal for its own; another journal's mark is refused still. */
int shipper_begin_again(struct shipper *shipper, struct journal_reader *reader, struct error *err);
/* So many bytes of blocks make a shipment, about. */
uint64_t shipper_block_bytes(const struct shipper *shipper);

/* Calls `each` for all shippers that there ever were; what it is given is gone when it returns; something else than 0 ends it. */
int shippers_each(struct journal_reader *reader,
		  int (*each)(void *context, struct slice name, const struct shipper_position *at), void *context,
		  struct error *err);
/* The first block that a shipper of this journal has still to take; UINT64_MAX: there is none. ERROR_CORRUPT. */
int shippers_pinned(struct journal_reader *reader, uint64_t *first, struct error *err);

#endif
