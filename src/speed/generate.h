/*
 * Orders of a shop that does not exist, in the classic form, to try punchcard with and to measure it:
 *
 *     cust_id|beverage price|unix_seconds
 *     1234|flat white 3.50|1672531199
 *
 *     struct generate_options options = {.menu = menu, .n_menu = 6, .zone = zone, .orders = 1000, .customers = 100,
 *                                        .from_day = 19000, .to_day = 19029, .seed = 1, .files = 1, .dir = "spool", .fd = -1};
 *     struct generate_counts counts;
 *     rc = generate_run(&options, &counts, err);
 *
 * The same options give the same bytes, on every machine (all is integer arithmetic). Lines are in the order of time.
 *
 * - Time: every local day of the zone has a weight by its weekday and a little chance, every hour one by the weekday (closed
 *   at night, a morning peak, a later and flatter weekend). Orders are spread by stratified sampling of that curve: each hour
 *   gets its exact share, order by order, so that nothing has to be sorted and memory does not grow with the orders.
 * - Customers: 1 to `customers`, the k-th best with a weight of 1 / (k + customers / 64) (Zipf–Mandelbrot: the best fifth
 *   makes about 63 % of the orders, the very best 15 times the mean). Who is popular has nothing to do with the id.
 * - Menu: in the order given, the first sells best.
 *
 * Files are written under ".<name>.<process id>.tmp" and renamed when whole, so nobody sees a part of one. They are not
 * synced: they can be made again. One that is there already is never overwritten.
 */
#ifndef PUNCHCARD_SPEED_GENERATE_H
#define PUNCHCARD_SPEED_GENERATE_H

#include "base/error.h"
#include "base/tz.h"
#include "config/config.h"

#include <signal.h>
#include <stdint.h>

#define GENERATE_ORDERS_MAX    UINT64_C(1000000000000)
#define GENERATE_CUSTOMERS_MAX 100000000u
#define GENERATE_FILES_MAX     999999u
#define GENERATE_RATE_MAX      10000000u
#define GENERATE_DIRTY_WHOLE   1000000000u /* .dirty_ppb of all lines */
#define GENERATE_LATE_MAX_S    259200u     /* a late line is at most three days late */

struct generate_options {
	const struct config_menu_item *menu; /* 1 or more; names without '|' and control characters, prices ≥ 0 */
	unsigned n_menu;
	const struct tz *zone; /* of the shop */
	uint64_t orders;       /* 1 to GENERATE_ORDERS_MAX; live: 0 is without end */
	uint32_t customers;    /* 1 to GENERATE_CUSTOMERS_MAX */
	int32_t from_day;      /* days since 1970-01-01, local; not live */
	int32_t to_day;        /* the last one, ≥ from_day; not live */
	uint64_t seed;
	uint32_t files;     /* 1 to GENERATE_FILES_MAX, ≤ orders; 1 with fd; not live */
	uint32_t rate;      /* 0, or orders a second: live */
	uint32_t dirty_ppb; /* chance of a fault, in billionths, to GENERATE_DIRTY_WHOLE */
	const char *dir;    /* spool directory, made when missing; or NULL: all goes to fd */
	int fd;
	/* What the collector does to the name of a file that it has taken: a file of that name counts as there. Either may
	 * be NULL. */
	const char *taken_suffix;          /* put behind it */
	const char *taken_dir;             /* moved there */
	const volatile sig_atomic_t *stop; /* becomes true: stop soon. NULL: never */
};

/* lines = orders + duplicates; every order is clean, late, torn or unknown, or has a duplicate. */
struct generate_counts {
	uint64_t orders;
	uint64_t lines;
	uint64_t bytes;
	uint64_t files;      /* whole ones */
	uint64_t duplicates; /* repeated, directly after the first */
	uint64_t late;       /* the time of something up to GENERATE_LATE_MAX_S before, out of order */
	uint64_t torn;       /* cut before the time */
	uint64_t unknown;    /* the customer's id is beyond options.customers */
};

/*
 * Writes them. Live (rate): stamped with the current time, a file a second (orders-<seed>-<unix milliseconds>.txt) or to fd
 * ten times a second, until so many orders or *stop; both end well. Else orders-<seed>-<number>.txt; *stop is
 * ERROR_INTERRUPTED.
 *
 * ERROR_EXISTS: a file of that name is there, as itself or taken; nothing was written, but when another process made it
 * meanwhile. ERROR_CONFIG: a menu item cannot stand in a line. ERROR_NO_SPACE, ERROR_IO: files before the failing one stay
 * and are whole (counts->files of them), of the failing one nothing stays. ERROR_NO_MEMORY. `counts` is set on errors too:
 * to what was written. Blocks; any thread.
 */
int generate_run(const struct generate_options *options, struct generate_counts *counts, struct error *err);

#endif
