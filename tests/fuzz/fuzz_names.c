/*
 * Names of files, and what is made of them: which files of a spool are wanted, which files of orders cover others, which states a
 * refresh may go on from, and the paths of a Flume sink. The input is lines: the first is a sink's directory, the second its prefix, the
 * third a header's value, the others are names. All of it is also what a sink has left to rename.
 */
#include "batch/committed.h"
#include "batch/states.h"
#include "speed/intake.h"
#include "speed/sink_path.h"

#include <limits.h>
#include <stdlib.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

#define NAMES_MOST 20u
#define NOW_US     INT64_C(1764470000123456)

static void require(bool condition)
{
	if (!condition)
		abort();
}

/* The next line as a text of its own; NULL: there is none. A NUL ends it for who reads it. */
static char *next_line(struct slice *rest)
{
	if (rest->len == 0)
		return NULL;
	const char *const end = memchr(rest->data, '\n', rest->len);
	const size_t len = end ? (size_t)(end - rest->data) : rest->len;
	char *const line = slice_dup((struct slice){rest->data, len});
	require(line != NULL);
	*rest = (struct slice){rest->data + len + (end != NULL), rest->len - len - (end != NULL)};
	return line;
}

static void check_spool(const char *name)
{
	static char pattern[] = "*";
	static char suffix[] = ".COMPLETED";
	static char own_name[] = "s";
	const struct config_source source = {.name = own_name, .pattern = pattern, .suffix = suffix};
	size_t base_len = 0;
	const bool ignored = intake_ignores(&source, name, &base_len);
	require(base_len <= strlen(name));
	require(ignored || base_len == 0);
	/* What stands before the suffix is a name that is not put away. */
	if (base_len)
		require(strncmp(name + base_len, suffix, strlen(suffix)) == 0);
	if (intake_wants(&source, name, &base_len))
		require(!ignored || base_len > 0);
}

static void check_names(struct committed_file *files, size_t n)
{
	committed_mark_covered(files, n);
	for (size_t i = 0; i < n; i++) {
		bool covered = false;
		for (size_t k = 0; k < n; k++)
			covered = covered || (k != i && files[k].name.first <= files[i].name.first &&
					      files[i].name.last <= files[k].name.last);
		require(covered || !files[i].covered);
	}
}

/* texts: directory, prefix, a header's value. */
static void check_path(char *const texts[3], const char *source_of_lines)
{
	static struct programme programme;
	static char name[] = "a/k";
	static char source[] = "s";
	static char header[] = "host";
	static char warehouse[] = "/shop 100%Y/data/warehouse";
	if (!programme.timezone)
		require(tz_load("America/New_York", &programme.timezone, NULL) == 0);
	const struct deployment deployment = {.programme = &programme, .warehouse_dir = warehouse};
	struct sink_header headers[] = {{source, header, texts[2]}};
	const struct sink sink = {.name = name,
				  .dir = texts[0],
				  .prefix = texts[1],
				  .in_warehouse = true,
				  .headers = headers,
				  .n_headers = 1,
				  .deployment = &deployment};
	struct sink_path path = {0};
	const struct sink_line line = {.source = slice_of(source_of_lines), .time_us = NOW_US};
	const char *made = NULL;
	char *const root = sink_path_root(&sink);
	require(root && strncmp(root, warehouse, strlen(warehouse)) == 0 && sink_path_open(&path, &sink, NULL) == 0);
	require(sink_path_make(&path, &sink, &line, &made, NULL) == 0 && made);
	/* Escapes of the agent are replaced; those in the deployment's own path are none. */
	require(strncmp(made, warehouse, strlen(warehouse)) == 0 && made[strlen(warehouse)] == '/');
	require(strncmp(made, root, strlen(root)) == 0);
	char *const first = strdup(made);
	require(first && sink_path_make(&path, &sink, &line, &made, NULL) == 0 && strcmp(first, made) == 0);
	free(first);
	sink_path_close(&path);
	free(root);
}

static void check_left(struct slice rest)
{
	struct sink_names names = sink_names_of(rest);
	struct slice from;
	struct slice to;
	const char *at = rest.data;
	int next;
	while ((next = sink_names_next(&names, &from, &to)) == 1) {
		require(from.len && to.len && from.data > at && to.data >= from.data + from.len);
		at = to.data + to.len - 1;
		require(at < rest.data + rest.len);
	}
	require(next == 0 || next == ERROR_CORRUPT);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	struct slice rest = {(const char *)data, size};
	check_left(rest);
	struct committed_file files[NAMES_MOST];
	size_t n = 0;
	char *texts[3];
	for (size_t i = 0; i < 3; i++)
		texts[i] = next_line(&rest);
	if (texts[2]) {
		check_path(texts, "s");
		check_path(texts, "other");
	}
	for (char *name; (name = next_line(&rest));) {
		struct state_name state;
		struct committed_name committed;
		if (*name && strlen(name) <= NAME_MAX && !strchr(name, '/'))
			check_spool(name);
		if (states_parse_name(name, &state))
			require(strlen(state.programme) < sizeof(state.programme));
		if (n < NAMES_MOST && committed_parse_name(name, &committed))
			files[n++] = (struct committed_file){.name = committed};
		free(name);
	}
	check_names(files, n);
	for (size_t i = 0; i < 3; i++)
		free(texts[i]);
	return 0;
}
