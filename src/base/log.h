/*
 * The log of a process that runs for months: one line an event that matters, to stderr, for people, grep and machines.
 *
 *     log_configure(&(struct log_options){.format = LOG_JSON});         // optional; text from level info on is the default
 *     LOG_INFO("file taken", log_text("source", "till"), log_uint("lines", 1000), log_us("took", 12345));
 *     LOG_ERROR("cannot read file", log_error(&err));
 *
 *     2026-11-30T01:02:03.123Z info    file taken  source=till lines=1000 took=12.3ms
 *     {"time":"2026-11-30T01:02:03.123Z","level":"info","message":"file taken","source":"till","lines":1000,"took_us":12345}
 *
 * A message is a constant that says what happened; what it happened to stands in fields. In text a value with blanks, quotes,
 * an equals sign or a backslash stands in quotes; control characters and bytes that are no UTF-8 are escaped (\n, \xHH), in
 * JSON as RFC 8259 has it. When stderr is the systemd journal, text has "<priority>" in place of the time.
 *
 * A line is one write(2) of at most LOG_LINE_BYTES, which a pipe takes whole; a longer one loses the ends of its texts ("…"),
 * then fields, and says so (cut=true). A call site that says the same more often than `per_minute` is silent for the rest of
 * that minute; then, when it speaks again or at log_tick, it says how often it was. Nobody waits long for a log that is not
 * read: after a tenth of a second (a second, if another thread hangs in a write) lines are dropped, until there is room; then
 * their number is told.
 *
 * Thread: any, all functions. No allocation.
 */
#ifndef PUNCHCARD_BASE_LOG_H
#define PUNCHCARD_BASE_LOG_H

#include "base/buf.h"
#include "base/error.h"

#include <stdatomic.h>
#include <stdbool.h>
#include <stdint.h>

/* With the line feed. POSIX guarantees that pipes take 4096 (Linux's PIPE_BUF) whole. */
#define LOG_LINE_BYTES 4096u

enum log_level {
	LOG_LEVEL_ERROR = 0, /* somebody has to act */
	LOG_LEVEL_WARNING,   /* it goes on by itself, and somebody should know */
	LOG_LEVEL_INFO,
	LOG_LEVEL_DEBUG,
};

enum log_format {
	LOG_FORMAT_TEXT = 0,
	LOG_FORMAT_JSON,
};

#define LOG_PER_MINUTE 60u

struct log_options {
	enum log_format format;
	enum log_level level;    /* of lines that are written; higher ones are not */
	int fd;                  /* where to; stays the caller's. 2 is stderr */
	unsigned per_minute;     /* lines of one call site; 0: no limit */
	int64_t (*now_us)(void); /* for tests; NULL: the clock */
};
#define LOG_DEFAULTS                                                                                      \
	{                                                                                                 \
		.format = LOG_FORMAT_TEXT, .level = LOG_LEVEL_INFO, .fd = 2, .per_minute = LOG_PER_MINUTE \
	}

/* From now on; also while others log. */
void log_configure(const struct log_options *options);
/* Says what was left out of minutes that are over; to be called now and then (each second is fine). */
void log_tick(void);
/* Says all that was left out so far; before the process ends. */
void log_flush(void);
/* "error", "warning", "info", "debug"; "text", "json". ERROR_INPUT for another word. */
int log_level_parse(const char *word, enum log_level *out);
int log_format_parse(const char *word, enum log_format *out);

/* Fields. Keys are words of ASCII letters, digits, '_' and '-'; those of JSON's own keys (time, level, message, cut,
 * repeated) are not free. Texts need live only for the call. */
enum log_type {
	LOG_TYPE_END = 0,
	LOG_TYPE_TEXT,
	LOG_TYPE_INT,
	LOG_TYPE_UINT,
	LOG_TYPE_BOOL,
	LOG_TYPE_US,
};

struct log_field {
	enum log_type type;
	const char *key;
	union {
		struct slice text;
		int64_t number;
		uint64_t natural;
	} value;
};

static inline struct log_field log_slice(const char *key, struct slice text)
{
	return (struct log_field){.type = LOG_TYPE_TEXT, .key = key, .value.text = text};
}

/* NULL is an empty text. */
static inline struct log_field log_text(const char *key, const char *text)
{
	return log_slice(key, slice_of(text));
}

static inline struct log_field log_int(const char *key, int64_t value)
{
	return (struct log_field){.type = LOG_TYPE_INT, .key = key, .value.number = value};
}

static inline struct log_field log_uint(const char *key, uint64_t value)
{
	return (struct log_field){.type = LOG_TYPE_UINT, .key = key, .value.natural = value};
}

static inline struct log_field log_bool(const char *key, bool value)
{
	return (struct log_field){.type = LOG_TYPE_BOOL, .key = key, .value.natural = value};
}

/* A duration in microseconds: took=12.3ms, as duration_text has it; in JSON the number, under the key with "_us". */
static inline struct log_field log_us(const char *key, int64_t value)
{
	return (struct log_field){.type = LOG_TYPE_US, .key = key, .value.number = value};
}

/* The message of an error, as "error". */
static inline struct log_field log_error(const struct error *err)
{
	return log_text("error", err->message);
}

/* A call site: what it said in this minute. The macros make one each. */
struct log_site {
	const char *message;
	struct log_site *next; /* of those that left something out */
	int64_t minute_us;     /* when its minute began */
	uint64_t said;
	uint64_t left_out;
	enum log_level level;
	bool listed;
};

extern _Atomic int log_level_now;

static inline bool log_enabled(enum log_level level)
{
	return (int)level <= atomic_load_explicit(&log_level_now, memory_order_relaxed);
}

/* Use the macros. `message` must be a constant; `fields` ends with one of LOG_TYPE_END. */
void log_write(struct log_site *site, enum log_level level, const char *message, const struct log_field *fields);

/* The fields are not even evaluated when the level is not written. */
#define LOG_AT(log_level_, ...)                                                                        \
	do {                                                                                           \
		if (log_enabled(log_level_)) {                                                         \
			static struct log_site log_site_;                                              \
			LOG_WRITE_(log_level_, __VA_ARGS__, (struct log_field){.type = LOG_TYPE_END}); \
		}                                                                                      \
	} while (0)
#define LOG_WRITE_(log_level_, message_, ...) \
	log_write(&log_site_, log_level_, "" message_, (const struct log_field[]){__VA_ARGS__})

#define LOG_ERROR(...)   LOG_AT(LOG_LEVEL_ERROR, __VA_ARGS__)
#define LOG_WARNING(...) LOG_AT(LOG_LEVEL_WARNING, __VA_ARGS__)
#define LOG_INFO(...)    LOG_AT(LOG_LEVEL_INFO, __VA_ARGS__)
#define LOG_DEBUG(...)   LOG_AT(LOG_LEVEL_DEBUG, __VA_ARGS__)

#endif
