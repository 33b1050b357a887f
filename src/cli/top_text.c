#include "cli/top_show.h"

#include "base/duration.h"
#include "base/tz.h"
#include "base/utf8.h"
#include "cli/show.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

/* Columns of the tables, the more important ones first: a narrow window cuts at the right, and 80 columns end behind the
 * third time. */
#define NAME_COLUMNS  14u
#define TYPE_COLUMNS  5u
#define STATE_COLUMNS 11u
#define RATE_COLUMNS  9u
#define FEW_COLUMNS   6u
#define TIME_COLUMNS  6u

struct page {
	const struct deployment *deployment;
	const struct live *live;
	void (*line)(void *context, enum screen_style style, struct slice text);
	void *context;
	struct buf text; /* of the line */
	bool failed;     /* out of memory */
};

static void add(struct page *page, const char *data, size_t len)
{
	if (buf_append(&page->text, data, len) < 0)
		page->failed = true;
}

/* Text from outside: names, errors. */
static void add_visible(struct page *page, const char *text)
{
	const size_t len = strlen(text);
	for (size_t i = 0; i < len;) {
		const size_t n = utf8_visible(text + i, len - i);
		add(page, text + i, n);
		i += n;
		if (i < len) {
			char mark[UTF8_MARK_MAX];
			i += utf8_mark(text + i, len - i, mark);
			add(page, mark, strlen(mark));
		}
	}
}

static void add_blanks(struct page *page, unsigned n)
{
	static const char blanks[] = "                                ";
	for (; n > sizeof(blanks) - 1; n -= (unsigned)sizeof(blanks) - 1)
		add(page, blanks, sizeof(blanks) - 1);
	add(page, blanks, n);
}

/* A cell to the left, and a blank behind it; what is wider is cut, and ends with "~". */
static void left(struct page *page, const char *text, unsigned columns)
{
	const size_t before = page->text.len;
	add_visible(page, text);
	const struct slice cell = {page->text.data + before, page->text.len - before};
	unsigned used;
	if (screen_fit(cell, columns, &used) < cell.len) {
		page->text.len = before + screen_fit(cell, columns - 1, &used);
		add(page, "~", 1);
		used++;
	}
	add_blanks(page, columns - used + 1);
}

/* A cell of ASCII to the right, and a blank behind it. One that is too wide moves the rest. */
static void right(struct page *page, const char *text, unsigned columns)
{
	const unsigned len = (unsigned)strlen(text);
	add_blanks(page, len < columns ? columns - len : 0);
	add(page, text, len);
	add(page, " ", 1);
}

static void number(struct page *page, uint64_t value, unsigned columns)
{
	char text[NUMBER_TEXT_MAX];
	right(page, number_text(value, text), columns);
}

static void duration(struct page *page, const struct live_times *times, uint64_t us)
{
	char text[DURATION_TEXT_MAX];
	right(page, times->n ? duration_text((int64_t)us, text) : "-", TIME_COLUMNS);
}

/* How long ago. */
static void ago(struct page *page, int64_t time_us)
{
	char text[DURATION_TEXT_MAX];
	const int64_t us = page->live->now->taken_us - time_us;
	right(page, time_us == 0 ? "never" : duration_seconds_text(us > 0 ? us : 0, text), TIME_COLUMNS);
}

/* Without the blanks at its end. */
static void end_line(struct page *page, enum screen_style style)
{
	size_t len = page->text.len;
	while (len > 0 && page->text.data[len - 1] == ' ')
		len--;
	page->line(page->context, style, (struct slice){page->text.data, len});
	buf_clear(&page->text);
}

static enum screen_style style_of(enum metrics_state state)
{
	return state == METRICS_DISK_FULL || state == METRICS_BACKING_OFF || state == METRICS_FAILED ? SCREEN_BOLD
												     : SCREEN_PLAIN;
}

static void show_heading(struct page *page)
{
	const struct live *const live = page->live;
	const struct metrics_snapshot *const now = live->now;
	char when[20];
	char text[256];
	char span[2][DURATION_TEXT_MAX];
	civil_format_time(page->deployment->programme->timezone, now->taken_us, when);
	add_visible(page, page->deployment->programme->name);
	add(page, "  ", 2);
	add_visible(page, page->deployment->dir);
	snprintf(text, sizeof(text), "  %s", when);
	add(page, text, strlen(text));
	end_line(page, SCREEN_HEADING);
	if (now->life == METRICS_ALIVE) {
		snprintf(text, sizeof(text), "daemon    %s, process %lld, up %s; rates and times are of %s %s",
			 live_state_name(now), (long long)now->pid,
			 duration_seconds_text(now->taken_us - now->started_us, span[0]),
			 live->since_start ? "all its" : "the last", duration_text(live->interval_us, span[1]));
		add(page, text, strlen(text));
		end_line(page, now->state == METRICS_DAEMON_RUNNING ? SCREEN_PLAIN : SCREEN_BOLD);
		return;
	}
	struct error gone;
	live_no_daemon(page->deployment->dir, now, &gone);
	add_visible(page, gone.message);
	end_line(page, SCREEN_BOLD);
}

static void show_journal(struct page *page)
{
	const struct metrics_journal *const journal = &page->live->now->journal;
	char n[3][NUMBER_TEXT_MAX];
	char size[2][BYTES_TEXT_MAX];
	char text[256];
	snprintf(text, sizeof(text), "journal   %s used, %s of them not taken by all; blocks %s to %s, %s trimmed",
		 bytes_text(journal->used_bytes, size[0]), bytes_text(journal->backlog_bytes, size[1]),
		 number_text(journal->first_block, n[0]),
		 number_text(journal->next_block ? journal->next_block - 1 : 0, n[1]),
		 number_text(journal->trimmed, n[2]));
	if (journal->next_block <= journal->first_block)
		snprintf(text, sizeof(text), "journal   %s used; no blocks", bytes_text(journal->used_bytes, size[0]));
	add(page, text, strlen(text));
	end_line(page, SCREEN_PLAIN);
}

static void show_source(struct page *page, const char *name, const char *type, const char *state,
			const uint64_t per_s[METRICS_SOURCE_COUNTERS], const struct live_times *durable)
{
	left(page, name, NAME_COLUMNS);
	left(page, type, TYPE_COLUMNS);
	left(page, state, STATE_COLUMNS);
	number(page, per_s[METRICS_SOURCE_LINES], RATE_COLUMNS);
	number(page, per_s[METRICS_SOURCE_EVENTS], RATE_COLUMNS);
	number(page, per_s[METRICS_SOURCE_QUARANTINED], FEW_COLUMNS);
	duration(page, durable, durable->p50_us);
	duration(page, durable, durable->p99_us);
}

static void show_sources(struct page *page)
{
	const struct live *const live = page->live;
	const struct metrics_snapshot *const now = live->now;
	char size[BYTES_TEXT_MAX];
	end_line(page, SCREEN_PLAIN);
	left(page, "SOURCE", NAME_COLUMNS);
	left(page, "TYPE", TYPE_COLUMNS);
	left(page, "STATE", STATE_COLUMNS);
	right(page, "LINES/S", RATE_COLUMNS);
	right(page, "EVENTS/S", RATE_COLUMNS);
	right(page, "QUAR/S", FEW_COLUMNS);
	right(page, "P50", TIME_COLUMNS);
	right(page, "P99", TIME_COLUMNS);
	right(page, "LAST", TIME_COLUMNS);
	right(page, "DUPL/S", RATE_COLUMNS);
	right(page, "BYTES/S", RATE_COLUMNS + 1);
	right(page, "LINES", RATE_COLUMNS + 4);
	right(page, "QUARANTINED", RATE_COLUMNS + 2);
	right(page, "ERRORS", FEW_COLUMNS);
	end_line(page, SCREEN_HEADING);
	for (unsigned i = 0; i < now->n_sources; i++) {
		const struct metrics_source_snapshot *const s = &now->sources[i];
		const struct live_source *const rates = &live->sources[i];
		show_source(page, s->name, s->type, metrics_state_name(s->state), rates->per_s, &rates->durable);
		ago(page, s->last_us);
		number(page, rates->per_s[METRICS_SOURCE_DUPLICATES], RATE_COLUMNS);
		right(page, bytes_text(rates->per_s[METRICS_SOURCE_BYTES], size), RATE_COLUMNS + 1);
		number(page, s->counters[METRICS_SOURCE_LINES], RATE_COLUMNS + 4);
		number(page, s->counters[METRICS_SOURCE_QUARANTINED], RATE_COLUMNS + 2);
		number(page, s->counters[METRICS_SOURCE_ERRORS], FEW_COLUMNS);
		end_line(page, style_of(s->state));
	}
	if (now->n_sources > 1) {
		show_source(page, "all", "", "", live->total_per_s, &live->total_durable);
		end_line(page, SCREEN_PLAIN);
	}
}

static void show_consumers(struct page *page)
{
	const struct live *const live = page->live;
	const struct metrics_snapshot *const now = live->now;
	end_line(page, SCREEN_PLAIN);
	left(page, "CONSUMER", NAME_COLUMNS + TYPE_COLUMNS + 1);
	left(page, "STATE", STATE_COLUMNS);
	right(page, "LINES/S", RATE_COLUMNS);
	right(page, "LAG", RATE_COLUMNS);
	right(page, "", FEW_COLUMNS);
	right(page, "P50", TIME_COLUMNS);
	right(page, "P99", TIME_COLUMNS);
	right(page, "MAX", TIME_COLUMNS);
	right(page, "BATCHES/S", RATE_COLUMNS);
	right(page, "LAST", RATE_COLUMNS + 1);
	right(page, "LINES", RATE_COLUMNS + 4);
	right(page, "RETRIES", RATE_COLUMNS + 2);
	right(page, "ERRORS", FEW_COLUMNS);
	end_line(page, SCREEN_HEADING);
	for (unsigned i = 0; i < now->n_consumers; i++) {
		const struct metrics_consumer_snapshot *const c = &now->consumers[i];
		const struct live_consumer *const rates = &live->consumers[i];
		left(page, c->name, NAME_COLUMNS + TYPE_COLUMNS + 1);
		left(page, metrics_state_name(c->state), STATE_COLUMNS);
		number(page, rates->per_s[METRICS_CONSUMER_LINES], RATE_COLUMNS);
		number(page, c->lag_lines, RATE_COLUMNS);
		right(page, "", FEW_COLUMNS);
		duration(page, &rates->visible, rates->visible.p50_us);
		duration(page, &rates->visible, rates->visible.p99_us);
		duration(page, &rates->visible, rates->visible.max_us);
		number(page, rates->per_s[METRICS_CONSUMER_BATCHES], RATE_COLUMNS);
		add_blanks(page, RATE_COLUMNS + 1 - TIME_COLUMNS);
		ago(page, c->last_us);
		number(page, c->counters[METRICS_CONSUMER_LINES], RATE_COLUMNS + 4);
		number(page, c->counters[METRICS_CONSUMER_RETRIES], RATE_COLUMNS + 2);
		number(page, c->counters[METRICS_CONSUMER_ERRORS], FEW_COLUMNS);
		end_line(page, style_of(c->state));
	}
	if (now->left_out) {
		char text[96];
		snprintf(text, sizeof(text), "and %u more, for which the daemon's metrics have no room", now->left_out);
		add(page, text, strlen(text));
		end_line(page, SCREEN_PLAIN);
	}
}

struct last_error {
	int64_t time_us;
	const char *name;
	const char *text;
};

static int newest_first(const void *a, const void *b)
{
	const int64_t left_us = ((const struct last_error *)a)->time_us;
	const int64_t right_us = ((const struct last_error *)b)->time_us;
	return (left_us < right_us) - (left_us > right_us);
}

static void show_errors(struct page *page)
{
	const struct metrics_snapshot *const now = page->live->now;
	struct last_error errors[METRICS_SOURCES + METRICS_CONSUMERS];
	unsigned n = 0;
	for (unsigned i = 0; i < now->n_sources; i++)
		if (now->sources[i].error[0])
			errors[n++] = (struct last_error){now->sources[i].error_us, now->sources[i].name,
							  now->sources[i].error};
	for (unsigned i = 0; i < now->n_consumers; i++)
		if (now->consumers[i].error[0])
			errors[n++] = (struct last_error){now->consumers[i].error_us, now->consumers[i].name,
							  now->consumers[i].error};
	if (n == 0)
		return;
	qsort(errors, n, sizeof(*errors), newest_first);
	end_line(page, SCREEN_PLAIN);
	left(page, "LAST ERROR OF EACH", 20);
	end_line(page, SCREEN_HEADING);
	for (unsigned i = 0; i < n; i++) {
		char when[20];
		civil_format_time(page->deployment->programme->timezone, errors[i].time_us, when);
		add(page, when, strlen(when));
		add(page, " ", 1);
		add_visible(page, errors[i].name);
		add(page, ": ", 2);
		add_visible(page, errors[i].text);
		end_line(page, SCREEN_PLAIN);
	}
}

int top_text(const struct deployment *deployment, const struct live *live,
	     void (*line)(void *context, enum screen_style style, struct slice text), void *context, struct error *err)
{
	struct page page = {.deployment = deployment, .live = live, .line = line, .context = context};
	show_heading(&page);
	show_journal(&page);
	show_sources(&page);
	show_consumers(&page);
	show_errors(&page);
	const bool failed = page.failed;
	const size_t size = page.text.cap;
	buf_release(&page.text);
	return failed ? error_no_memory(err, size) : 0;
}
