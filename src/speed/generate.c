#include "speed/generate.h"

#include "base/buf.h"
#include "base/decimal.h"
#include "base/file.h"
#include "base/limits.h"
#include "base/random.h"

#include <assert.h>
#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

enum {
	CHUNK_LINES = 4096,      /* lines between two looks at the buffer, the file and *stop */
	FLUSH_BYTES = 256 << 10, /* a write of this size costs the least a byte */
	LINE_SLACK = 64, /* behind the text of a line: id, time, newline, and what short copies write too much */
	SHORT_TEXT = 32, /* a menu text of this size is copied as a block, which is faster than by length */
	HOURS = 24,
	TICK_MS = 100,
	SECOND_MS = 1000,
};

/* What an hour sells, by kind of day. The sums of the days are 100, 130 (Saturday) and 110 (Sunday). */
static const uint8_t HOUR_WEIGHTS[3][HOURS] = {
	/*  0        4           7   8   9  10 11 12 13 14 15 16 17 18 19 20 */
	{0, 0, 0, 0, 0, 0, 4, 14, 16, 12, 7, 6, 9, 8, 5, 5, 5, 4, 3, 2, 0, 0, 0, 0},
	{0, 0, 0, 0, 0, 0, 0, 4, 9, 15, 17, 16, 14, 13, 11, 10, 8, 6, 4, 3, 0, 0, 0, 0},
	{0, 0, 0, 0, 0, 0, 0, 0, 8, 14, 17, 16, 14, 12, 10, 8, 6, 5, 0, 0, 0, 0, 0, 0},
};

/* A menu item as it stands in a line, "|latte 70|", with room for a copy of SHORT_TEXT bytes. */
struct menu_text {
	char *text;
	uint32_t len;
};

struct generator {
	const struct generate_options *options;
	struct generate_counts *counts;
	struct random random;
	struct random faults; /* apart, so that the orders are the same with and without faults */
	uint64_t fault_below; /* a draw below this is a fault */
	struct alias customers;
	struct alias menu;
	struct menu_text *texts;
	size_t line_max; /* bytes of the longest line */
	int64_t stamp_s; /* the second that `stamp` holds in decimal */
	char stamp[24];
	unsigned stamp_len;
	char *buf;
	size_t len;
	size_t cap;
	char *path; /* of the file that is being written, under its temporary name; NULL without one */
	char *final_path;
	int fd;
};

static bool stopped(const struct generator *g)
{
	return g->options->stop && *g->options->stop;
}

/* ---- output ---- */

static int flush_lines(struct generator *g, struct error *err)
{
	const int rc = file_write_all(g->fd, g->buf, g->len, g->path ? g->path : "standard output", err);
	if (rc < 0)
		return rc;
	g->counts->bytes += g->len;
	g->len = 0;
	return 0;
}

static char *name_path(const struct generator *g, uint64_t number)
{
	return text_printf("%s/orders-%" PRIu64 "-%06" PRIu64 ".txt", g->options->dir, g->options->seed, number);
}

static int refuse_path(const char *path, struct error *err)
{
	if (!file_exists(path))
		return 0;
	return error_set(err, ERROR_EXISTS,
			 "%s is there already; nothing is overwritten: take another --seed, or move it away", path);
}

/* As itself, or under the name that it has when it was taken. */
static int refuse_existing(const struct generator *g, const char *path, struct error *err)
{
	const struct generate_options *const options = g->options;
	const char *const name = strrchr(path, '/') + 1;
	_cleanup_free_ char *renamed = text_printf("%s%s", path, options->taken_suffix ? options->taken_suffix : "");
	_cleanup_free_ char *moved = text_printf("%s/%s", options->taken_dir ? options->taken_dir : options->dir, name);
	if (!renamed || !moved)
		return error_no_memory(err, strlen(path));
	int rc = refuse_path(path, err);
	if (rc == 0)
		rc = refuse_path(renamed, err);
	return rc < 0 ? rc : refuse_path(moved, err);
}

static int refuse_all_existing(const struct generator *g, struct error *err)
{
	for (uint32_t number = 1; number <= g->options->files; number++) {
		_cleanup_free_ char *path = name_path(g, number);
		if (!path)
			return error_no_memory(err, LIMIT_PATH_BYTES);
		const int rc = refuse_existing(g, path, err);
		if (rc < 0)
			return rc;
	}
	return 0;
}

static int begin_file(struct generator *g, uint64_t number, struct error *err)
{
	g->final_path = name_path(g, number);
	if (!g->final_path)
		return error_no_memory(err, LIMIT_PATH_BYTES);
	const char *const name = strrchr(g->final_path, '/') + 1;
	g->path = text_printf("%s/.%s.%ld.tmp", g->options->dir, name, (long)getpid());
	if (!g->path)
		return error_no_memory(err, LIMIT_PATH_BYTES);
	g->fd = open(g->path, O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, 0666);
	if (g->fd < 0) {
		const int errnum = errno;
		free(g->path);
		g->path = NULL;
		return error_errno(err, errnum, "cannot write orders into %s", g->options->dir);
	}
	return 0;
}

/* Not every file system knows RENAME_NOREPLACE; then the look before has to do. */
static int rename_new(const struct generator *g, struct error *err)
{
	if (renameat2(AT_FDCWD, g->path, AT_FDCWD, g->final_path, RENAME_NOREPLACE) == 0)
		return 0;
	if (errno == EINVAL || errno == ENOSYS) {
		const int rc = refuse_existing(g, g->final_path, err);
		if (rc < 0)
			return rc;
		if (rename(g->path, g->final_path) == 0)
			return 0;
	}
	return error_errno(err, errno, "cannot rename %s to %s", g->path, g->final_path);
}

static int end_file(struct generator *g, struct error *err)
{
	int rc = flush_lines(g, err);
	if (rc < 0)
		return rc;
	const int closed = close(g->fd);
	g->fd = -1;
	if (closed < 0)
		return error_errno(err, errno, "cannot write %s", g->path);
	rc = rename_new(g, err);
	if (rc < 0)
		return rc;
	free(g->path);
	free(g->final_path);
	g->path = NULL;
	g->final_path = NULL;
	g->counts->files++;
	return 0;
}

/* After an error: of the file that was being written nothing stays. */
static void drop_file(struct generator *g)
{
	if (g->path) {
		if (g->fd >= 0)
			close(g->fd);
		unlink(g->path);
	}
	free(g->path);
	free(g->final_path);
	g->path = NULL;
	g->final_path = NULL;
}

/* ---- lines ---- */

static char *put_digits(char *p, uint64_t value)
{
	static const char PAIRS[] = "00010203040506070809101112131415161718192021222324252627282930313233343536373839"
				    "40414243444546474849505152535455565758596061626364656667686970717273747576777879"
				    "8081828384858687888990919293949596979899";
	char digits[20];
	char *at = digits + sizeof(digits);
	while (value >= 100) {
		at -= 2;
		memcpy(at, PAIRS + 2 * (value % 100), 2);
		value /= 100;
	}
	if (value >= 10) {
		at -= 2;
		memcpy(at, PAIRS + 2 * value, 2);
	} else {
		*--at = (char)('0' + value);
	}
	const size_t len = (size_t)(digits + sizeof(digits) - at);
	memcpy(p, at, len);
	return p + len;
}

/* Many orders fall into one second: its digits are made once. */
static char *put_stamp(struct generator *g, char *p, int64_t time_s)
{
	if (time_s != g->stamp_s) {
		g->stamp_s = time_s;
		g->stamp_len = (unsigned)(put_digits(g->stamp, (uint64_t)time_s) - g->stamp);
	}
	memcpy(p, g->stamp, sizeof(g->stamp));
	return p + g->stamp_len;
}

static char *put_menu(const struct generator *g, char *p, uint32_t item)
{
	const struct menu_text *const text = &g->texts[item];
	assert(text->text);
	if (text->len <= SHORT_TEXT)
		memcpy(p, text->text, SHORT_TEXT);
	else
		memcpy(p, text->text, text->len);
	return p + text->len;
}

static char *put_line(struct generator *g, char *p, uint64_t customer, uint32_t item, int64_t time_s)
{
	p = put_digits(p, customer);
	p = put_menu(g, p, item);
	p = put_stamp(g, p, time_s);
	*p++ = '\n';
	return p;
}

/* One order with one fault, all four alike often. */
static char *put_faulty(struct generator *g, char *p, uint64_t customer, uint32_t item, int64_t time_s)
{
	struct generate_counts *const counts = g->counts;
	char *const line = p;
	switch (random_below(&g->faults, 4)) {
	case 0: {
		p = put_line(g, p, customer, item, time_s);
		const size_t len = (size_t)(p - line);
		memcpy(p, line, len);
		counts->duplicates++;
		counts->lines++;
		return p + len;
	}
	case 1: {
		const int64_t late_s = 60 + (int64_t)random_below(&g->faults, GENERATE_LATE_MAX_S - 59);
		counts->late++;
		return put_line(g, p, customer, item, time_s > late_s ? time_s - late_s : 0);
	}
	case 2: {
		/* Within the time a cut would leave a line that looks good: so it is before. */
		p = put_menu(g, put_digits(p, customer), item);
		p = line + 1 + random_below(&g->faults, (uint64_t)(p - line));
		*p++ = '\n';
		counts->torn++;
		return p;
	}
	default: {
		const uint64_t known = g->options->customers;
		counts->unknown++;
		return put_line(g, p, known + 1 + random_below(&g->faults, known / 10 + 1), item, time_s);
	}
	}
}

/* Orders with the times first + (j · step + chance below step), j from `from` to `until` - 1, in 2^-32 seconds; at most
 * CHUNK_LINES of them. */
static void put_lines(struct generator *g, int64_t first_s, uint64_t step, uint64_t from, uint64_t until)
{
	char *p = g->buf + g->len;
	for (uint64_t j = from; j < until; j++) {
		const uint32_t customer = alias_pick(&g->customers, random_next(&g->random)) + 1;
		const uint64_t bits = random_next(&g->random);
		const uint32_t chance = (uint32_t)bits;
		/* Turned, so that the item's slot comes from bits that `chance` does not hold. */
		const uint32_t item = alias_pick(&g->menu, random_rotate(bits, 17));
		const uint64_t within = (j * step + (uint64_t)(((unsigned __int128)step * chance) >> 32)) >> 32;
		const int64_t time_s = first_s + (int64_t)within;
		if (g->fault_below && random_next(&g->faults) < g->fault_below)
			p = put_faulty(g, p, customer, item, time_s);
		else
			p = put_line(g, p, customer, item, time_s);
	}
	g->len = (size_t)(p - g->buf);
	g->counts->orders += until - from;
	g->counts->lines += until - from;
}

/* ---- what is drawn from ---- */

static int check_name(const char *name, struct error *err)
{
	for (const char *c = name; *c; c++)
		if (*c == '|' || (unsigned char)*c < ' ' || *c == 0x7f)
			return error_set(
				err, ERROR_CONFIG,
				"menu item '%s' cannot stand in a classic order line: it holds '|' or a control "
				"character; change its name in punchcard.yaml",
				name);
	return 0;
}

static int make_text(const struct config_menu_item *item, struct menu_text *out, struct error *err)
{
	const int rc = check_name(item->name, err);
	if (rc < 0)
		return rc;
	char price[24];
	assert(item->price_minor >= 0);
	if (item->price_minor % 100 == 0)
		(void)snprintf(price, sizeof(price), "%" PRId64, item->price_minor / 100);
	else
		decimal_format(item->price_minor, 2, price);
	const size_t size = strlen(item->name) + sizeof(price) + SHORT_TEXT;
	char *const text = calloc(1, size);
	if (!text)
		return error_no_memory(err, size);
	const int len = snprintf(text, size, "|%s %s|", item->name, price);
	*out = (struct menu_text){text, (uint32_t)len};
	return 0;
}

static int make_menu(struct generator *g, struct error *err)
{
	const unsigned n = g->options->n_menu;
	g->texts = calloc(n, sizeof(*g->texts));
	_cleanup_free_ uint64_t *weights = calloc(n, sizeof(*weights));
	if (!g->texts || !weights)
		return error_no_memory(err, n * sizeof(*g->texts));
	size_t text_max = 0;
	for (unsigned i = 0; i < n; i++) {
		const int rc = make_text(&g->options->menu[i], &g->texts[i], err);
		if (rc < 0)
			return rc;
		weights[i] = ALIAS_WEIGHT_MAX / (i + 3);
		text_max = g->texts[i].len > text_max ? g->texts[i].len : text_max;
	}
	g->line_max = text_max + LINE_SLACK;
	return alias_init(&g->menu, weights, n, err);
}

/* Weights in the order of the ids: the weight of a rank goes to a random id (Fisher–Yates, inside out). */
static int make_customers(struct generator *g, struct error *err)
{
	const uint32_t n = g->options->customers;
	_cleanup_free_ uint64_t *weights = malloc(n * sizeof(*weights));
	if (!weights)
		return error_no_memory(err, n * sizeof(*weights));
	struct random shuffle;
	random_init(&shuffle, random_mix(g->options->seed) ^ n);
	for (uint32_t rank = 0; rank < n; rank++) {
		const uint64_t at = random_below(&shuffle, (uint64_t)rank + 1);
		weights[rank] = weights[at];
		weights[at] = ALIAS_WEIGHT_MAX / (rank + 1 + n / 64);
	}
	return alias_init(&g->customers, weights, n, err);
}

/* ---- the past: orders over days ---- */

/* Days since 1970-01-01, a Thursday. */
static const uint8_t *hours_of_day(int32_t day)
{
	const int32_t weekday = (day % 7 + 7 + 3) % 7; /* 0 is Monday */
	return HOUR_WEIGHTS[weekday < 5 ? 0 : weekday - 4];
}

/* Days differ by up to 15 %. */
static uint64_t chance_of_day(const struct generator *g, int32_t day)
{
	return 85 + random_mix(g->options->seed ^ random_mix((uint64_t)day)) % 31;
}

static uint64_t sum_weights(const struct generator *g)
{
	uint64_t sum = 0;
	for (int32_t day = g->options->from_day; day <= g->options->to_day; day++) {
		uint64_t hours = 0;
		for (unsigned hour = 0; hour < HOURS; hour++)
			hours += hours_of_day(day)[hour];
		sum += hours * chance_of_day(g, day);
	}
	return sum;
}

/* Where file `number` (from 1) ends, in orders. */
static uint64_t file_end(const struct generate_options *options, uint64_t number)
{
	return (uint64_t)((unsigned __int128)options->orders * number / options->files);
}

/* The orders of one hour, over as many files as they reach. */
static int write_hour(struct generator *g, int64_t first_s, int64_t length_s, uint64_t n, struct error *err)
{
	const uint64_t step = ((uint64_t)length_s << 32) / n;
	uint64_t at = 0;
	while (at < n) {
		if (stopped(g))
			return error_set(err, ERROR_INTERRUPTED, "interrupted");
		const uint64_t left = file_end(g->options, g->counts->files + 1) - g->counts->orders;
		uint64_t until = n - at < left ? n : at + left;
		until = until - at < CHUNK_LINES ? until : at + CHUNK_LINES;
		const bool file_done = until - at == left;
		put_lines(g, first_s, step, at, until);
		at = until;
		int rc = 0;
		if (file_done && g->options->dir) {
			rc = end_file(g, err);
			if (rc == 0 && g->counts->orders < g->options->orders)
				rc = begin_file(g, g->counts->files + 1, err);
		} else if (g->len >= FLUSH_BYTES || file_done) {
			rc = flush_lines(g, err);
		}
		if (rc < 0)
			return rc;
	}
	return 0;
}

/* Every hour gets the orders whose place on the curve falls into it; `phase` keeps the rounding from always favouring the
 * same hours. */
static int write_days(struct generator *g, struct error *err)
{
	const struct generate_options *const options = g->options;
	const uint64_t sum = sum_weights(g);
	unsigned __int128 place = random_below(&g->random, sum);
	uint64_t done = 0;
	int64_t last_end_s = 0;
	for (int32_t day = options->from_day; day <= options->to_day; day++) {
		const uint8_t *const hours = hours_of_day(day);
		for (int64_t hour = 0; hour < HOURS; hour++) {
			place += (unsigned __int128)options->orders * hours[hour] * chance_of_day(g, day);
			const uint64_t upto = (uint64_t)(place / sum);
			if (upto == done)
				continue;
			const int64_t local_s = (int64_t)day * 86400 + hour * 3600;
			int64_t first_s = tz_utc_of_local_s(options->zone, local_s);
			int64_t end_s = tz_utc_of_local_s(options->zone, local_s + 3600);
			/* Where clocks are set forward an hour may be empty: its orders come at its border. */
			first_s = first_s > last_end_s ? first_s : last_end_s;
			end_s = end_s > first_s ? end_s : first_s;
			const int rc = write_hour(g, first_s, end_s - first_s, upto - done, err);
			if (rc < 0)
				return rc;
			last_end_s = end_s;
			done = upto;
		}
	}
	assert(g->counts->orders == options->orders);
	return 0;
}

static int run_past(struct generator *g, struct error *err)
{
	if (g->options->dir) {
		int rc = refuse_all_existing(g, err);
		if (rc == 0)
			rc = begin_file(g, 1, err);
		if (rc < 0)
			return rc;
	}
	return write_days(g, err);
}

/* ---- live: orders as time goes by ---- */

static int64_t now_ms(clockid_t clock)
{
	struct timespec now;
	clock_gettime(clock, &now);
	return (int64_t)now.tv_sec * 1000 + now.tv_nsec / 1000000;
}

/* Sleeps until then or a signal. */
static void sleep_until_ms(int64_t ms)
{
	const struct timespec until = {.tv_sec = ms / 1000, .tv_nsec = (ms % 1000) * 1000000};
	(void)clock_nanosleep(CLOCK_MONOTONIC, TIMER_ABSTIME, &until, NULL);
}

static int write_due(struct generator *g, uint64_t due, int64_t stamp_ms, struct error *err)
{
	int rc = 0;
	if (g->options->dir)
		rc = begin_file(g, (uint64_t)stamp_ms, err);
	while (rc == 0 && g->counts->orders < due) {
		const uint64_t left = due - g->counts->orders;
		put_lines(g, stamp_ms / 1000, 0, 0, left < CHUNK_LINES ? left : CHUNK_LINES);
		if (g->len >= FLUSH_BYTES)
			rc = flush_lines(g, err);
	}
	if (rc < 0)
		return rc;
	return g->options->dir ? end_file(g, err) : flush_lines(g, err);
}

/* What is due is counted from the start, so that a late wake-up loses nothing. Times never go back, even if the system's
 * clock does: lines stay in order, and no file is named as one before. */
static int run_live(struct generator *g, struct error *err)
{
	const uint64_t rate = g->options->rate;
	const uint64_t end = g->options->orders ? g->options->orders : UINT64_MAX;
	const int64_t tick_ms = g->options->dir ? SECOND_MS : TICK_MS;
	const int64_t start_ms = now_ms(CLOCK_MONOTONIC);
	int64_t wake_ms = start_ms;
	int64_t stamp_ms = 0;
	while (g->counts->orders < end) {
		wake_ms += tick_ms;
		while (!stopped(g) && now_ms(CLOCK_MONOTONIC) < wake_ms)
			sleep_until_ms(wake_ms);
		const uint64_t passed_ms = (uint64_t)(now_ms(CLOCK_MONOTONIC) - start_ms);
		const uint64_t due = passed_ms / 1000 * rate + passed_ms % 1000 * rate / 1000;
		const int64_t at_ms = now_ms(CLOCK_REALTIME);
		stamp_ms = at_ms > stamp_ms ? at_ms : stamp_ms + 1;
		if (due > g->counts->orders) {
			const int rc = write_due(g, due < end ? due : end, stamp_ms, err);
			if (rc < 0)
				return rc;
		}
		if (stopped(g))
			break;
	}
	return 0;
}

/* ---- */

static int prepare(struct generator *g, struct error *err)
{
	const struct generate_options *const options = g->options;
	random_init(&g->random, options->seed);
	random_init(&g->faults, random_mix(options->seed) + 1);
	g->fault_below = options->dirty_ppb == GENERATE_DIRTY_WHOLE
				 ? UINT64_MAX
				 : UINT64_MAX / GENERATE_DIRTY_WHOLE * options->dirty_ppb;
	int rc = make_menu(g, err);
	if (rc == 0)
		rc = make_customers(g, err);
	if (rc < 0)
		return rc;
	/* A line may come twice. */
	g->cap = FLUSH_BYTES + (size_t)CHUNK_LINES * 2 * g->line_max;
	g->buf = malloc(g->cap);
	if (!g->buf)
		return error_no_memory(err, g->cap);
	return options->dir ? file_make_dirs(options->dir, err) : 0;
}

static void release(struct generator *g)
{
	drop_file(g);
	free(g->buf);
	alias_release(&g->customers);
	alias_release(&g->menu);
	for (unsigned i = 0; g->texts && i < g->options->n_menu; i++)
		free(g->texts[i].text);
	free(g->texts);
}

int generate_run(const struct generate_options *options, struct generate_counts *counts, struct error *err)
{
	assert(options->n_menu > 0 && options->customers > 0 && options->customers <= GENERATE_CUSTOMERS_MAX);
	assert(options->dirty_ppb <= GENERATE_DIRTY_WHOLE && options->orders <= GENERATE_ORDERS_MAX);
	assert(options->rate || (options->orders > 0 && options->from_day <= options->to_day && options->files > 0 &&
				 options->files <= options->orders && (options->dir || options->files == 1)));
	*counts = (struct generate_counts){0};
	struct generator g = {
		.options = options, .counts = counts, .stamp_s = -1, .fd = options->dir ? -1 : options->fd};
	int rc = prepare(&g, err);
	if (rc == 0)
		rc = options->rate ? run_live(&g, err) : run_past(&g, err);
	release(&g);
	return rc;
}
