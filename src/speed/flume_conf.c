#include "speed/flume_conf_internal.h"

#include <assert.h>
#include <ctype.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>

#define NAME_BYTES_MOST 64u

static_assert(FLUME_COMPONENTS_MOST <= 64, "channels are bits");

const char *flume_part_name(enum flume_part part)
{
	static const char *const NAMES[] = {
		[FLUME_SOURCE] = "sources", [FLUME_CHANNEL] = "channels", [FLUME_SINK] = "sinks"};
	return NAMES[part];
}

/* --- remarks --- */

static char *key_text(const struct flume_agent *agent, const struct flume_component *component)
{
	return component ? text_printf("%s.%s.%s", agent->name, flume_part_name(component->part), component->name)
			 : strdup(agent->name);
}

int flume_say(struct flume_agent *agent, enum flume_verdict verdict, const struct flume_component *component,
	      const struct flume_property *item, struct error *err, const char *format, ...)
{
	struct flume_remark *const remarks = reallocarray(agent->remarks, agent->n_remarks + 1, sizeof(*remarks));
	if (!remarks)
		return error_no_memory(err, sizeof(*remarks));
	agent->remarks = remarks;
	struct flume_remark *const remark = &remarks[agent->n_remarks];
	*remark = (struct flume_remark){.verdict = verdict,
					.line = item        ? item->line
						: component ? component->line
							    : 0,
					.key = item ? strdup(item->key) : key_text(agent, component),
					.value = item ? strdup(item->value) : NULL};
	bool is_whole = remark->key && (!item || remark->value);
	if (format) {
		va_list arguments;
		va_start(arguments, format);
		is_whole = is_whole && vasprintf(&remark->text, format, arguments) >= 0;
		va_end(arguments);
	}
	if (!is_whole) {
		free(remark->key);
		free(remark->value);
		return error_no_memory(err, sizeof(*remark));
	}
	agent->n_remarks++;
	agent->n_refused += verdict == FLUME_REFUSED;
	return 0;
}

/* --- keys and values --- */

const struct flume_property *flume_get(const struct flume_agent *agent, const struct flume_component *component,
				       const char *key)
{
	_cleanup_free_ char *name = component ? text_printf("%s.%s.%s.%s", agent->name,
							    flume_part_name(component->part), component->name, key)
					      : text_printf("%s.%s", agent->name, key);
	return name ? flume_properties_find(agent->properties, slice_of(name)) : NULL;
}

const char *flume_text(const struct flume_agent *agent, const struct flume_component *component, const char *key,
		       const char *otherwise)
{
	const struct flume_property *const item = flume_get(agent, component, key);
	return item ? item->value : otherwise;
}

int flume_number(struct flume_agent *agent, const struct flume_component *component, const char *key,
		 uint64_t otherwise, uint64_t *out, struct error *err)
{
	const struct flume_property *const item = flume_get(agent, component, key);
	*out = otherwise;
	if (!item)
		return 0;
	const size_t len = strlen(item->value);
	if (len == 0 || len > 18 || strspn(item->value, "0123456789") != len)
		return flume_say(agent, FLUME_REFUSED, component, item, err, "expected a whole number of 0 or more");
	*out = strtoull(item->value, NULL, 10);
	return 0;
}

bool flume_is_true(const struct flume_agent *agent, const struct flume_component *component, const char *key)
{
	const char *const value = flume_text(agent, component, key, "");
	return strcasecmp(value, "true") == 0;
}

bool flume_word(const char *text, unsigned i, struct slice *word)
{
	for (;;) {
		text += strspn(text, " \t\n\r\f\v");
		const size_t len = strcspn(text, " \t\n\r\f\v");
		if (len == 0)
			return false;
		if (i-- == 0) {
			*word = (struct slice){text, len};
			return true;
		}
		text += len;
	}
}

char *flume_source_name(const struct flume_agent *agent, const struct flume_component *source, struct slice group)
{
	char *const name = text_printf("flume-%s-%s%s%.*s", agent->name, source->name, group.len ? "-" : "",
				       (int)group.len, group.len ? group.data : "");
	if (!name)
		return NULL;
	for (char *c = name; *c; c++) {
		*c = (char)tolower((unsigned char)*c);
		if (!isalnum((unsigned char)*c) && *c != '_' && *c != '-')
			*c = '_';
	}
	if (strlen(name) > NAME_BYTES_MOST)
		name[NAME_BYTES_MOST] = '\0';
	return name;
}

/* --- components --- */

/* Whether `key` of the agent is described: some key begins with it and a dot. */
static bool is_described(const struct flume_agent *agent, enum flume_part part, struct slice name)
{
	_cleanup_buf_ struct buf prefix = {0};
	if (buf_printf(&prefix, "%s.%s.%.*s.", agent->name, flume_part_name(part), (int)name.len, name.data) < 0)
		return false;
	for (unsigned i = 0; i < agent->properties->n; i++)
		if (strncmp(agent->properties->items[i].key, prefix.data, prefix.len) == 0)
			return true;
	return false;
}

/* Names become parts of names of files and of keys. */
static bool is_plain(struct slice name)
{
	for (size_t i = 0; i < name.len; i++)
		if (!isalnum((unsigned char)name.data[i]) && !strchr("_-.", name.data[i]))
			return false;
	return name.len > 0 && name.len <= NAME_BYTES_MOST;
}

/* NULL: no memory. */
static struct flume_component *add_component(struct flume_agent *agent, enum flume_part part, struct slice name)
{
	struct flume_component *const components =
		reallocarray(agent->components, agent->n_components + 1, sizeof(*components));
	if (!components)
		return NULL;
	agent->components = components;
	struct flume_component *const component = &components[agent->n_components];
	*component = (struct flume_component){.part = part, .name = slice_dup(name)};
	if (!component->name)
		return NULL;
	agent->n_components++;
	return component;
}

static int take_type(struct flume_agent *agent, struct flume_component *component, struct error *err)
{
	const struct flume_property *const item = flume_get(agent, component, "type");
	if (!item) {
		component->dropped = true;
		return flume_say(agent, FLUME_REFUSED, component, NULL, err,
				 "it has no type; Flume would go on without it: give it one, or take it off the list");
	}
	component->line = item->line;
	const struct flume_type_rule *const rule = flume_type_find(component->part, item->value);
	if (rule) {
		component->type = rule->type;
		return flume_say(agent, FLUME_TAKEN, component, item, err, NULL);
	}
	component->dropped = true;
	static const char *const KNOWN[] = {[FLUME_SOURCE] = "spooldir, exec, TAILDIR, http, netcat",
					    [FLUME_CHANNEL] = "memory, file",
					    [FLUME_SINK] = "hdfs, hbase, hbase2, asynchbase, file_roll, logger, null"};
	return flume_say(agent, FLUME_REFUSED, component, item, err, "punchcard has no such type; it runs %s",
			 KNOWN[component->part]);
}

/* Components that are listed; those that are not described are said, and left out. */
static int list_components(struct flume_agent *agent, enum flume_part part, struct error *err)
{
	const struct flume_property *const list = flume_get(agent, NULL, flume_part_name(part));
	if (!list)
		return flume_say(agent, FLUME_REFUSED, NULL, NULL, err, "it lists no %s (%s.%s = …)",
				 flume_part_name(part), agent->name, flume_part_name(part));
	struct slice name;
	int rc = 0;
	for (unsigned i = 0; rc == 0 && flume_word(list->value, i, &name); i++) {
		if (i == FLUME_COMPONENTS_MOST)
			return flume_say(agent, FLUME_REFUSED, NULL, list, err, "more than %u %s; make it two agents",
					 FLUME_COMPONENTS_MOST, flume_part_name(part));
		if (!is_described(agent, part, name)) {
			rc = flume_say(
				agent, FLUME_WARNED, NULL, list, err,
				"%.*s is listed, but nothing describes it (%s.%s.%.*s.type = …): it is left out, "
				"as Flume does",
				(int)name.len, name.data, agent->name, flume_part_name(part), (int)name.len, name.data);
			continue;
		}
		if (!is_plain(name))
			return flume_say(agent, FLUME_REFUSED, NULL, list, err,
					 "%.*s: expected names of at most %u letters, digits, '_', '-', '.'",
					 (int)name.len, name.data, NAME_BYTES_MOST);
		struct flume_component *const component = add_component(agent, part, name);
		rc = component ? take_type(agent, component, err) : error_no_memory(err, name.len);
	}
	return rc;
}

static int channel_index(const struct flume_agent *agent, struct slice name)
{
	int index = 0;
	for (unsigned i = 0; i < agent->n_components; i++) {
		const struct flume_component *const c = &agent->components[i];
		if (c->part != FLUME_CHANNEL)
			continue;
		if (slice_is(name, c->name) && !c->dropped)
			return index;
		index++;
	}
	return -1;
}

/* Another sink of its channel, which would compete with it for the channel's lines; NULL: there is none before it. */
static const struct flume_component *find_rival(const struct flume_agent *agent, const struct flume_component *sink)
{
	for (const struct flume_component *c = agent->components; c < sink; c++)
		if (c->part == FLUME_SINK && (c->channels & sink->channels))
			return c;
	return NULL;
}

static int connect(struct flume_agent *agent, struct flume_component *component, struct error *err)
{
	const char *const key = component->part == FLUME_SOURCE ? "channels" : "channel";
	const struct flume_property *const item = flume_get(agent, component, key);
	struct slice name;
	int rc = 0;
	for (unsigned i = 0; item && rc == 0 && flume_word(item->value, i, &name); i++) {
		const int index = component->part == FLUME_SINK && i ? -1 : channel_index(agent, name);
		if (index >= 0)
			component->channels |= UINT64_C(1) << index;
		else
			rc = flume_say(agent, FLUME_REFUSED, component, item, err,
				       component->part == FLUME_SINK && i
					       ? "a sink has one channel, and %.*s is a second one"
					       : "%.*s is no channel that the agent has",
				       (int)name.len, name.data);
	}
	const struct flume_component *const rival = component->part == FLUME_SINK ? find_rival(agent, component) : NULL;
	if (rc == 0 && rival)
		return flume_say(
			agent, FLUME_REFUSED, component, item, err,
			"sink %s has this channel, too: Flume shares its lines out between them; here one sink is "
			"as fast as several, so take one away, or give each a channel of its own, which gets every "
			"line",
			rival->name);
	if (rc == 0 && item && component->channels)
		return flume_say(agent, FLUME_TAKEN, component, item, err, NULL);
	if (rc < 0 || item)
		return rc;
	component->dropped = true;
	return flume_say(agent, FLUME_REFUSED, component, NULL, err, "it has no %s; Flume would go on without it", key);
}

/* Whether the key of the agent, behind its name, belongs to a component that is listed; *known: it is one of a component at all. */
static bool is_listed(const struct flume_agent *agent, const char *key, bool *known)
{
	*known = false;
	for (enum flume_part part = FLUME_SOURCE; part <= FLUME_SINK; part++) {
		const char *const word = flume_part_name(part);
		const size_t len = strlen(word);
		if (strncmp(key, word, len) != 0 || key[len] != '.')
			continue;
		*known = true;
		const char *const name = key + len + 1;
		for (unsigned i = 0; i < agent->n_components; i++) {
			const struct flume_component *const c = &agent->components[i];
			const size_t name_len = strlen(c->name);
			if (c->part == part && strncmp(name, c->name, name_len) == 0 && name[name_len] == '.')
				return true;
		}
	}
	return false;
}

/* Keys of the agent that belong to no component. */
static int check_rest(struct flume_agent *agent, struct error *err)
{
	const size_t len = strlen(agent->name);
	int rc = 0;
	for (unsigned i = 0; rc == 0 && i < agent->properties->n; i++) {
		const struct flume_property *const item = &agent->properties->items[i];
		if (strncmp(item->key, agent->name, len) != 0 || item->key[len] != '.')
			continue;
		const char *const key = item->key + len + 1;
		if (item->earlier_line)
			rc = flume_say(agent, FLUME_WARNED, NULL, item, err,
				       "line %u has the same key; this one, the later, wins, as in Flume",
				       item->earlier_line);
		if (rc == 0 && item->has_unset)
			rc = flume_say(agent, FLUME_WARNED, NULL, item, err,
				       "a ${…} in it is not set, and stays as it is written");
		bool known;
		if (rc < 0 || is_listed(agent, key, &known))
			continue;
		if (strcmp(key, "sources") == 0 || strcmp(key, "channels") == 0 || strcmp(key, "sinks") == 0)
			continue;
		if (strncmp(key, "sinkgroups", strlen("sinkgroups")) == 0)
			rc = flume_say(
				agent, FLUME_REFUSED, NULL, item, err,
				"sink groups (failover, load balancing) are not run: give each sink a channel of "
				"its own, or take the group away");
		else if (strncmp(key, "configfilters", strlen("configfilters")) == 0)
			rc = flume_say(agent, FLUME_REFUSED, NULL, item, err,
				       "configuration filters are not run; ${env:NAME} is");
		else
			rc = flume_say(agent, FLUME_WARNED, NULL, item, err,
				       known ? "it describes what is not listed: it is left out, as Flume does"
					     : "no such key is known: nothing reads it");
	}
	return rc;
}

/* --- agents --- */

static int fail_agent(const struct flume_properties *properties, const char *name, struct error *err)
{
	_cleanup_buf_ struct buf names = {0};
	for (unsigned i = 0; i < properties->n; i++) {
		const char *const key = properties->items[i].key;
		const char *const dot = strchr(key, '.');
		if (dot && strcmp(dot, ".sources") == 0)
			(void)buf_printf(&names, "%s%.*s", names.len ? ", " : "", (int)(dot - key), key);
	}
	return error_set(err, ERROR_CONFIG, "%s: there is no agent %s; it has %s", properties->path, name,
			 names.len && buf_text(&names) ? names.data : "none (a line such as tier1.sources = src-1)");
}

static bool has_agent(const struct flume_properties *properties, const char *name)
{
	const size_t len = strlen(name);
	for (unsigned i = 0; i < properties->n; i++)
		if (strncmp(properties->items[i].key, name, len) == 0 && properties->items[i].key[len] == '.')
			return true;
	return false;
}

static int compare_remarks(const void *a, const void *b)
{
	const struct flume_remark *const ra = a;
	const struct flume_remark *const rb = b;
	if (ra->line != rb->line)
		return (ra->line > rb->line) - (ra->line < rb->line);
	const int order = strcmp(ra->key, rb->key);
	return order ? order : (int)ra->verdict - (int)rb->verdict;
}

/* What was said to be taken and was refused after all, or has no meaning with this value, is only that. */
static void drop_contradicted(struct flume_agent *agent)
{
	unsigned kept = 0;
	for (unsigned i = 0; i < agent->n_remarks; i++) {
		struct flume_remark *const remark = &agent->remarks[i];
		const bool is_last = i + 1 == agent->n_remarks || strcmp(remark->key, remark[1].key) != 0 ||
				     remark->line != remark[1].line;
		if (remark->verdict == FLUME_TAKEN && !is_last) {
			free(remark->key);
			free(remark->value);
			free(remark->text);
		} else {
			agent->remarks[kept++] = *remark;
		}
	}
	agent->n_remarks = kept;
}

static int read_components(struct flume_agent *agent, struct error *err)
{
	int rc = 0;
	/* Channels first: the others name them. */
	static const enum flume_part ORDER[] = {FLUME_CHANNEL, FLUME_SOURCE, FLUME_SINK};
	for (unsigned i = 0; rc == 0 && i < 3; i++)
		rc = list_components(agent, ORDER[i], err);
	for (unsigned i = 0; rc == 0 && i < agent->n_components; i++) {
		struct flume_component *const component = &agent->components[i];
		if (component->dropped)
			continue;
		if (component->part != FLUME_CHANNEL)
			rc = connect(agent, component, err);
		if (rc == 0 && !component->dropped)
			rc = flume_check_keys(agent, component, err);
	}
	if (rc == 0)
		rc = flume_check_limits(agent, err);
	for (unsigned i = 0; rc == 0 && i < agent->n_components; i++) {
		const struct flume_component *const component = &agent->components[i];
		if (!component->dropped && component->part == FLUME_SOURCE)
			rc = flume_make_source(agent, component, err);
	}
	for (unsigned i = 0; rc == 0 && i < agent->n_components; i++) {
		const struct flume_component *const component = &agent->components[i];
		if (!component->dropped && component->part == FLUME_SINK)
			rc = flume_make_sink(agent, component, err);
	}
	return rc == 0 ? check_rest(agent, err) : rc;
}

int flume_agent_read(const struct flume_properties *properties, const char *name, const char *format,
		     const struct config_cluster *cluster, struct flume_agent **out, struct error *err)
{
	if (!format)
		format = "classic";
	if (strcmp(format, "classic") != 0 && strcmp(format, "ndjson") != 0 && strcmp(format, "lines") != 0)
		return error_set(err, ERROR_CONFIG,
				 "--format %s: Flume moves lines, each on its own; expected classic, ndjson, or lines "
				 "(any text: no line is an order)",
				 format);
	if (!is_plain(slice_of(name)))
		return error_set(err, ERROR_CONFIG,
				 "--agent %s: expected a name of at most %u letters, digits, '_', '-', '.'", name,
				 NAME_BYTES_MOST);
	if (!has_agent(properties, name))
		return fail_agent(properties, name, err);
	struct flume_agent *const agent = calloc(1, sizeof(*agent));
	if (!agent)
		return error_no_memory(err, sizeof(*agent));
	agent->properties = properties;
	agent->cluster = cluster && cluster->on ? cluster : NULL;
	agent->name = strdup(name);
	agent->format = strdup(format);
	int rc = agent->name && agent->format ? 0 : error_no_memory(err, strlen(name));
	if (rc == 0)
		rc = read_components(agent, err);
	if (rc == 0 && properties->latin1_line)
		rc = flume_say(agent, FLUME_WARNED, NULL, NULL, err,
			       "line %u has letters beyond ASCII, which are read as ISO-8859-1, as Flume does; write "
			       "\\uXXXX to be sure",
			       properties->latin1_line);
	if (rc < 0) {
		flume_agent_free(agent);
		return rc;
	}
	if (agent->n_remarks)
		qsort(agent->remarks, agent->n_remarks, sizeof(agent->remarks[0]), compare_remarks);
	drop_contradicted(agent);
	*out = agent;
	return 0;
}

static void release_source(struct config_source *source)
{
	free(source->name);
	free(source->format);
	free(source->dir);
	free(source->pattern);
	free(source->suffix);
	free(source->path);
	free(source->listen);
	for (unsigned i = 0; i < source->command.count; i++)
		free(source->command.items[i]);
	free(source->command.items);
	if (source->include)
		regfree(source->include);
	if (source->ignore)
		regfree(source->ignore);
	free(source->include);
	free(source->ignore);
}

void flume_agent_free(struct flume_agent *agent)
{
	if (!agent)
		return;
	for (unsigned i = 0; i < agent->n_components; i++)
		free(agent->components[i].name);
	for (unsigned i = 0; i < agent->n_remarks; i++) {
		free(agent->remarks[i].key);
		free(agent->remarks[i].value);
		free(agent->remarks[i].text);
	}
	for (unsigned i = 0; i < agent->n_sources; i++)
		release_source(&agent->sources[i]);
	for (unsigned i = 0; i < agent->n_sinks; i++)
		sink_release(&agent->sinks[i]);
	free(agent->components);
	free(agent->remarks);
	free(agent->sources);
	free(agent->sinks);
	free(agent->name);
	free(agent->format);
	free(agent);
}
