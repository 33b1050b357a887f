/* Sinks that keep nothing: the log, and none at all. A line that was logged in the moment of a crash is logged again. */
#include "base/log.h"
#include "speed/sink.h"

static int begin(struct sink *sink, uint64_t first, uint64_t next, struct error *err)
{
	(void)sink;
	(void)first;
	(void)next;
	(void)err;
	return 0;
}

static int log_line(struct sink *sink, const struct sink_line *line, struct error *err)
{
	struct slice text = line->text;
	(void)err;
	if (text.len > sink->log_bytes)
		text.len = (size_t)sink->log_bytes;
	const struct log_field fields[] = {log_text("sink", sink->name),
					   log_slice("file", line->file),
					   log_uint("line", line->line),
					   log_slice("text", text),
					   {0}};
	/* Each line is a message of its own: what is left out of one that repeats itself is not left out here. */
	struct log_site site = {0};
	if (log_enabled(LOG_LEVEL_INFO))
		log_write(&site, LOG_LEVEL_INFO, "event", fields);
	return 0;
}

static int drop_line(struct sink *sink, const struct sink_line *line, struct error *err)
{
	(void)sink;
	(void)line;
	(void)err;
	return 0;
}

static int commit(struct sink *sink, struct error *err)
{
	return sink_commit(sink, (struct slice){0}, err);
}

static void give_up(struct sink *sink)
{
	(void)sink;
}

const struct sink_driver sink_logger = {.begin = begin, .line = log_line, .commit = commit, .abort = give_up};
const struct sink_driver sink_null = {.begin = begin, .line = drop_line, .commit = commit, .abort = give_up};
