#include "config/config.h"

#include "base/decimal.h"
#include "base/limits.h"
#include "config/schema_internal.h"

#include <stdlib.h>
#include <string.h>
#include <unistd.h>

/* Of the machine's memory the engine has a quarter, unless set, within these bounds: the tables of a million accounts are made
 * within 768 MiB, and spilled with less. */
#define ENGINE_MEMORY_SHARE     4u
#define ENGINE_MEMORY_LEAST_MIB 512u
#define ENGINE_MEMORY_MOST_MIB  1024u

/*
 * Defaults: set where the file has no such key. (0 and an empty list are values of their own.)
 */

static int default_text(char **value, const char *fallback, struct error *err)
{
	if (*value)
		return 0;
	*value = strdup(fallback);
	return *value ? 0 : error_no_memory(err, strlen(fallback) + 1);
}

static void default_number(const struct yamldoc *file, struct yamldoc_key key, uint32_t *value, uint32_t fallback)
{
	if (!yamldoc_has(file, key))
		*value = fallback;
}

static int default_strings(const struct yamldoc *file, struct yamldoc_key key, struct config_strings *value,
			   const char *const *fallback, unsigned count, struct error *err)
{
	if (yamldoc_has(file, key))
		return 0;
	value->items = calloc(count, sizeof(char *));
	if (!value->items)
		return error_no_memory(err, count * sizeof(char *));
	for (; value->count < count; value->count++) {
		value->items[value->count] = strdup(fallback[value->count]);
		if (!value->items[value->count])
			return error_no_memory(err, 16);
	}
	return 0;
}

static int fill_source(const struct yamldoc *file, unsigned i, struct config_source *source, struct error *err)
{
	int rc = 0;
	switch (source->type) {
	case SOURCE_SPOOL:
		default_number(file, yamldoc_key("sources[%u].scan_s", i), &source->scan_s, 30);
		rc = default_text(&source->pattern, "*", err);
		if (rc == 0 && source->when_done != WHEN_DONE_MOVE)
			rc = default_text(&source->suffix, ".COMPLETED", err);
		return rc;
	case SOURCE_EXEC:
		default_number(file, yamldoc_key("sources[%u].restart_s", i), &source->restart_s, 1);
		return 0;
	case SOURCE_HTTP:
		default_number(file, yamldoc_key("sources[%u].max_body_kib", i), &source->max_body_kib, 4096);
		default_number(file, yamldoc_key("sources[%u].max_waiting", i), &source->max_waiting, 256);
		return default_text(&source->format, "ndjson", err);
	case SOURCE_KAFKA:
		default_number(file, yamldoc_key("sources[%u].scan_s", i), &source->scan_s, 30);
		return default_text(&source->group, "punchcard", err);
	case SOURCE_TCP:
		if (!yamldoc_has(file, yamldoc_key("sources[%u].answer", i)))
			source->answer = true;
		return 0;
	default:
		return 0;
	}
}

static int fill_sources(const struct yamldoc *file, struct config *config, struct error *err)
{
	int rc = 0;
	for (unsigned i = 0; i < config->n_sources && rc == 0; i++) {
		struct config_source *const source = &config->sources[i];
		if (source->type != SOURCE_HTTP && source->type != SOURCE_TCP && source->type != SOURCE_KAFKA)
			default_number(file, yamldoc_key("sources[%u].settle_ms", i), &source->settle_ms, 2000);
		rc = fill_source(file, i, source, err);
	}
	return rc;
}

static int fill_order_mappings(const struct yamldoc *file, struct config *config, struct error *err)
{
	static const char *const GUEST[] = {"", "0"};
	int rc = 0;
	for (unsigned i = 0; i < config->n_order_mappings && rc == 0; i++) {
		struct config_order_mapping *const mapping = &config->order_mappings[i];
		rc = default_text(&mapping->delimiter, ",", err);
		if (rc == 0)
			rc = default_text(&mapping->decimal_mark, ".", err);
		if (rc == 0)
			rc = default_strings(file, yamldoc_key("order_mappings[%u].guest", i), &mapping->guest, GUEST,
					     2, err);
	}
	return rc;
}

static int fill_customer_mappings(const struct yamldoc *file, struct config *config, struct error *err)
{
	static const char *const MALE[] = {"M"};
	static const char *const FEMALE[] = {"F"};
	static const char *const NEITHER[] = {"N", ""};
	int rc = 0;
	for (unsigned i = 0; i < config->n_customer_mappings && rc == 0; i++) {
		struct config_customer_mapping *const mapping = &config->customer_mappings[i];
		rc = default_text(&mapping->delimiter, ",", err);
		if (rc == 0)
			rc = default_text(&mapping->date_format, "%Y-%m-%d", err);
		if (rc == 0)
			rc = default_strings(file, yamldoc_key("customer_mappings[%u].gender_codes.male", i),
					     &mapping->male, MALE, 1, err);
		if (rc == 0)
			rc = default_strings(file, yamldoc_key("customer_mappings[%u].gender_codes.female", i),
					     &mapping->female, FEMALE, 1, err);
		if (rc == 0)
			rc = default_strings(file, yamldoc_key("customer_mappings[%u].gender_codes.neither", i),
					     &mapping->neither, NEITHER, 2, err);
	}
	return rc;
}

static int read_prices(const struct yamldoc *file, struct config *config, struct error *err)
{
	for (unsigned i = 0; i < config->n_menu; i++) {
		struct config_menu_item *const item = &config->menu[i];
		if (decimal_parse(item->price, strlen(item->price), 2, '.', LIMIT_AMOUNT_MINOR, &item->price_minor) <
			    0 ||
		    item->price_minor < 0)
			return yamldoc_fail(
				file, err, yamldoc_key("menu[%u].price", i),
				"'%s' is no price; expected 0 or more with at most two decimals, such as 65 or 2.50",
				item->price);
	}
	return 0;
}

static int fill_cluster(const struct yamldoc *file, struct config_cluster *cluster, struct error *err)
{
	static const char *const COMMAND[] = {"spark-sql"};
	cluster->on = yamldoc_has(file, yamldoc_key("cluster"));
	if (!cluster->on)
		return 0;
	default_number(file, yamldoc_key("cluster.ship.max_mib"), &cluster->ship_max_mib, 128);
	default_number(file, yamldoc_key("cluster.ship.max_delay_s"), &cluster->ship_max_delay_s, 300);
	const struct {
		char **value;
		const char *fallback;
	} texts[] = {{&cluster->hdfs_path, "/user/punchcard"},
		     {&cluster->hdfs_user, "punchcard"},
		     {&cluster->hbase_prefix, "punchcard_"},
		     {&cluster->spark_master, "yarn"},
		     {&cluster->spark_database, "punchcard"}};
	int rc = 0;
	for (size_t i = 0; i < sizeof(texts) / sizeof(texts[0]) && rc == 0; i++)
		rc = default_text(texts[i].value, texts[i].fallback, err);
	return rc == 0 ? default_strings(file, yamldoc_key("cluster.spark.command"), &cluster->spark_command, COMMAND,
					 1, err)
		       : rc;
}

static uint32_t engine_memory_mib(void)
{
	const long pages = sysconf(_SC_PHYS_PAGES);
	const long page_bytes = sysconf(_SC_PAGESIZE);
	const uint64_t mib = pages > 0 && page_bytes > 0 ? (uint64_t)pages * (uint64_t)page_bytes >> 20 : 0;
	if (mib / ENGINE_MEMORY_SHARE <= ENGINE_MEMORY_LEAST_MIB)
		return ENGINE_MEMORY_LEAST_MIB;
	return mib / ENGINE_MEMORY_SHARE < ENGINE_MEMORY_MOST_MIB ? (uint32_t)(mib / ENGINE_MEMORY_SHARE)
								  : ENGINE_MEMORY_MOST_MIB;
}

static int fill_config(const struct yamldoc *file, struct config *config, struct error *err)
{
	default_number(file, yamldoc_key("limits.future_hours"), &config->future_limit_h, 24);
	default_number(file, yamldoc_key("journal.map_gib"), &config->journal_map_gib, 64);
	default_number(file, yamldoc_key("journal.retention_hours"), &config->journal_retention_h, 24);
	default_number(file, yamldoc_key("journal.backlog_mib"), &config->journal_backlog_mib, 4096);
	default_number(file, yamldoc_key("tables.max_delay_s"), &config->table_max_delay_s, 10);
	default_number(file, yamldoc_key("tables.max_rows"), &config->table_max_rows, 1000000);
	default_number(file, yamldoc_key("view.map_gib"), &config->view_map_gib, 64);
	default_number(file, yamldoc_key("view.max_delay_ms"), &config->view_max_delay_ms, 50);
	default_number(file, yamldoc_key("engine.memory_mib"), &config->engine_memory_mib, engine_memory_mib());
	int rc = default_text(&config->path, file->path, err);
	if (rc == 0)
		rc = default_text(&config->customer_format, "classic", err);
	if (rc == 0)
		rc = fill_sources(file, config, err);
	if (rc == 0)
		rc = fill_order_mappings(file, config, err);
	if (rc == 0)
		rc = fill_customer_mappings(file, config, err);
	if (rc == 0)
		rc = fill_cluster(file, &config->cluster, err);
	return rc == 0 ? read_prices(file, config, err) : rc;
}

/*
 * Loading.
 */

static int make_config(const struct yamldoc *file, struct config **out, struct error *err)
{
	void *data = NULL;
	int rc = yamldoc_load(file, &CONFIG_SCHEMA, CONFIG_RULES, &data, err);
	if (rc < 0)
		return rc;
	struct config *const config = data;
	rc = fill_config(file, config, err);
	if (rc == 0)
		rc = config_check(file, config, err);
	if (rc < 0) {
		config_free(config);
		return rc;
	}
	*out = config;
	return 0;
}

int config_load(const char *path, struct config **out, struct error *err)
{
	struct yamldoc file = {0};
	int rc = yamldoc_open(path, &file, err);
	if (rc == 0)
		rc = make_config(&file, out, err);
	yamldoc_close(&file);
	return rc;
}

int config_parse(const char *path, const void *data, size_t len, struct config **out, struct error *err)
{
	struct yamldoc file = {0};
	int rc = yamldoc_parse(path, data, len, &file, err);
	if (rc == 0)
		rc = make_config(&file, out, err);
	yamldoc_close(&file);
	return rc;
}

void config_free(struct config *config)
{
	if (!config)
		return;
	free(config->path);
	/* Texts filled in as defaults are from the same allocator as libcyaml's. */
	yamldoc_free(&CONFIG_SCHEMA, config);
}

/*
 * Lookups.
 */

const struct config_order_mapping *config_order_mapping(const struct config *config, const char *name)
{
	for (unsigned i = 0; i < config->n_order_mappings; i++)
		if (strcmp(config->order_mappings[i].name, name) == 0)
			return &config->order_mappings[i];
	return NULL;
}

const struct config_customer_mapping *config_customer_mapping(const struct config *config, const char *name)
{
	for (unsigned i = 0; i < config->n_customer_mappings; i++)
		if (strcmp(config->customer_mappings[i].name, name) == 0)
			return &config->customer_mappings[i];
	return NULL;
}

const struct config_source *config_source(const struct config *config, const char *name)
{
	for (unsigned i = 0; i < config->n_sources; i++)
		if (strcmp(config->sources[i].name, name) == 0)
			return &config->sources[i];
	return NULL;
}
