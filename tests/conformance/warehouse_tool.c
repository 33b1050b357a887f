/*
 * One operation of a warehouse in HDFS, for tests that disturb its servers meanwhile (tests/cluster).
 *
 *     warehouse_tool URL ROOT [--user NAME] [--token FILE] [--spnego] [--patience MS] [--silence MS] OPERATION
 *
 *     put PATH FILE | get PATH | list PATH | stat PATH | mkdir PATH | rename FROM TO | remove PATH | usage PATH | ping | clean
 *
 * Prints what came of it as one line of JSON, but `get` the bytes. Exit code 0, or 1 with "<code> <message>" on stderr.
 */
#include "store/warehouse.h"

#include "base/json.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

static struct warehouse *warehouse;
static struct json out;

static void write_stat(const struct warehouse_stat *stat)
{
	json_key(&out, "dir");
	json_bool(&out, stat->is_dir);
	json_key(&out, "size");
	json_uint(&out, stat->size);
	json_key(&out, "mtime_ms");
	json_int(&out, stat->mtime_ms);
}

static int write_entry(void *context, const char *name, const struct warehouse_stat *stat, struct error *err)
{
	(void)context;
	(void)err;
	json_object(&out);
	json_key(&out, "name");
	json_text(&out, name);
	write_stat(stat);
	json_end_object(&out);
	return 0;
}

static int write_bytes(void *context, const void *data, size_t len, struct error *err)
{
	(void)context;
	return fwrite(data, 1, len, stdout) == len ? 0 : error_set(err, ERROR_IO, "the output takes no more");
}

static int show_stat(const char *path, struct error *err)
{
	struct warehouse_stat stat = {0};
	const int rc = warehouse_stat(warehouse, path, &stat, err);
	if (rc < 0)
		return rc;
	json_object(&out);
	write_stat(&stat);
	json_end_object(&out);
	return 0;
}

static void write_number(const char *key, int64_t value)
{
	json_key(&out, key);
	json_int(&out, value);
}

static int show_usage(const char *path, struct error *err)
{
	struct warehouse_usage usage = {0};
	const int rc = warehouse_usage(warehouse, path, &usage, err);
	if (rc < 0)
		return rc;
	json_object(&out);
	write_number("bytes", (int64_t)usage.bytes);
	write_number("files", (int64_t)usage.files);
	write_number("dirs", (int64_t)usage.dirs);
	write_number("space_bytes", usage.space_bytes);
	write_number("space_quota", usage.space_quota);
	write_number("name_quota", usage.name_quota);
	write_number("free_bytes", usage.free_bytes);
	json_end_object(&out);
	return 0;
}

static int show_health(struct error *err)
{
	struct warehouse_health health = {0};
	const int rc = warehouse_ping(warehouse, true, &health, err);
	if (rc < 0)
		return rc;
	json_object(&out);
	json_key(&out, "version");
	json_text(&out, health.version);
	json_key(&out, "safe_mode");
	json_bool(&out, health.safe_mode);
	write_number("live_nodes", health.live_nodes);
	write_number("clock_ahead_ms", health.clock_ahead_ms);
	json_key(&out, "can_write");
	json_bool(&out, health.can_write);
	json_key(&out, "problem");
	json_text(&out, health.problem);
	json_end_object(&out);
	return 0;
}

static int list(const char *path, struct error *err)
{
	json_array(&out);
	const int rc = warehouse_list(warehouse, path, write_entry, NULL, err);
	json_end_array(&out);
	return rc;
}

static int operate(int n, char **words, struct error *err)
{
	const char *const verb = n > 0 ? words[0] : "";
	if (n == 3 && strcmp(verb, "put") == 0)
		return warehouse_put_file(warehouse, words[1], words[2], err);
	if (n == 3 && strcmp(verb, "rename") == 0)
		return warehouse_rename(warehouse, words[1], words[2], err);
	if (n == 2 && strcmp(verb, "get") == 0)
		return warehouse_read(warehouse, words[1], 0, WAREHOUSE_TO_END, write_bytes, NULL, err);
	if (n == 2 && strcmp(verb, "list") == 0)
		return list(words[1], err);
	if (n == 2 && strcmp(verb, "stat") == 0)
		return show_stat(words[1], err);
	if (n == 2 && strcmp(verb, "mkdir") == 0)
		return warehouse_make_dir(warehouse, words[1], err);
	if (n == 2 && strcmp(verb, "remove") == 0)
		return warehouse_remove(warehouse, words[1], err);
	if (n == 2 && strcmp(verb, "usage") == 0)
		return show_usage(words[1], err);
	if (n == 1 && strcmp(verb, "ping") == 0)
		return show_health(err);
	if (n == 1 && strcmp(verb, "clean") == 0)
		return warehouse_clean(warehouse, err);
	return error_set(err, ERROR_USAGE, "'%s' with %d words is no operation", verb, n);
}

/* Options in front of the operation; how many words they are. */
static int read_options(int argc, char **argv, struct warehouse_hdfs_options *options)
{
	int i = 3;
	for (; i + 1 < argc && strncmp(argv[i], "--", 2) == 0; i++) {
		if (strcmp(argv[i], "--spnego") == 0) {
			options->auth = WAREHOUSE_AUTH_SPNEGO;
			continue;
		}
		const char *const value = argv[i + 1];
		if (strcmp(argv[i], "--user") == 0)
			options->user = value;
		else if (strcmp(argv[i], "--token") == 0)
			options->auth = WAREHOUSE_AUTH_TOKEN, options->token_file = value;
		else if (strcmp(argv[i], "--patience") == 0)
			options->patience_ms = (uint32_t)strtoul(value, NULL, 10);
		else if (strcmp(argv[i], "--silence") == 0)
			options->silence_ms = (uint32_t)strtoul(value, NULL, 10);
		i++;
	}
	return i;
}

int main(int argc, char **argv)
{
	struct error err = {0};
	int rc = ERROR_USAGE;
	json_to_file(&out, stdout);
	if (argc >= 4) {
		struct warehouse_hdfs_options options = {.url = argv[1], .root = argv[2], .writer = "tool"};
		const int first = read_options(argc, argv, &options);
		rc = warehouse_open_hdfs(&options, &warehouse, &err);
		if (rc == 0)
			rc = operate(argc - first, argv + first, &err);
		warehouse_close(warehouse);
	}
	if (rc < 0)
		fprintf(stderr, "%d %s\n", rc, err.message);
	return rc < 0;
}
