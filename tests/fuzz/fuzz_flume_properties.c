/*
 * A properties file from any bytes, and each agent that it has: what is read is UTF-8 without NUL, each key once; an agent is read or
 * refused with a remark, and what runs has what it needs.
 */
#include "base/utf8.h"
#include "speed/flume_conf.h"

#include <stdlib.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static void require(bool condition)
{
	if (!condition)
		abort();
}

static const char *look_up(void *context, const char *name)
{
	(void)context;
	return name[0] == 'x' ? "y z" : NULL;
}

static void check_agent(const struct flume_properties *properties, const char *name)
{
	struct flume_agent *agent = NULL;
	struct error err = {0};
	if (flume_agent_read(properties, name, "lines", NULL, &agent, &err) < 0) {
		require(err.code == ERROR_CONFIG);
		return;
	}
	unsigned refused = 0;
	for (unsigned i = 0; i < agent->n_remarks; i++) {
		refused += agent->remarks[i].verdict == FLUME_REFUSED;
		require(agent->remarks[i].key && (agent->remarks[i].verdict == FLUME_TAKEN || agent->remarks[i].text));
	}
	require(refused == agent->n_refused);
	for (unsigned i = 0; refused == 0 && i < agent->n_sources; i++) {
		const struct config_source *const source = &agent->sources[i];
		require(source->name && source->format && source->keeps_lines);
		require(source->type != SOURCE_SPOOL || (source->dir && source->pattern && source->suffix));
		require(source->type != SOURCE_EXEC || source->command.count > 0);
		require(source->type != SOURCE_TAIL || source->path);
		require((source->type != SOURCE_TCP && source->type != SOURCE_HTTP) || source->listen);
	}
	for (unsigned i = 0; refused == 0 && i < agent->n_sinks; i++) {
		const struct sink *const sink = &agent->sinks[i];
		require(sink->driver && sink->name && sink->delay_ms > 0 && sink->at_bytes > 0);
		require(sink->driver != &sink_files || (sink->dir && sink->prefix && sink->suffix));
		require(sink->driver != &sink_rows || (sink->table && sink->column));
	}
	flume_agent_free(agent);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	const struct flume_lookup lookup = {.env = look_up, .sys = look_up};
	struct flume_properties *properties = NULL;
	struct error err = {0};
	if (flume_properties_parse((struct slice){(const char *)data, size}, "f", &lookup, &properties, &err) < 0) {
		require(err.code == ERROR_CONFIG && strncmp(err.message, "f:", 2) == 0);
		return 0;
	}
	for (unsigned i = 0; i < properties->n; i++) {
		const struct flume_property *const p = &properties->items[i];
		require(*p->key && utf8_valid(p->key, strlen(p->key)) && utf8_valid(p->value, strlen(p->value)));
		require(p->line > 0 && p->earlier_line < p->line);
		require(i == 0 || strcmp(properties->items[i - 1].key, p->key) < 0);
		require(flume_properties_find(properties, slice_of(p->key)) == p);
		const char *const dot = strstr(p->key, ".sinks");
		if (dot && dot > p->key && !dot[strlen(".sinks")]) {
			char *const name = strndup(p->key, (size_t)(dot - p->key));
			require(name != NULL);
			check_agent(properties, name);
			free(name);
		}
	}
	flume_properties_free(properties);
	return 0;
}
