/*
 * Work on a cluster without its configuration, for tests/spark:
 *
 *     spark_job rebuild <deployment> <yyyy-mm-dd> <warehouse URL> <spark-sql> <master> [key=value]…
 *     spark_job refresh <day of the states>:<next block> <deployment> <yyyy-mm-dd> <warehouse URL> <spark-sql> …
 *     spark_job sql <file of statements, one a line> <spark-sql> <master> [key=value]…
 *
 * A line of `sql` that begins with "rows " is a SELECT whose rows are printed; one that begins with "model <dir>
 * <name> " is a model, with what stands before it. Progress goes to stderr. SIGTERM interrupts.
 */
#include "base/tz.h"
#include "cluster/job.h"
#include "config/deployment.h"

#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define SETTINGS_MAX 32u

static volatile sig_atomic_t stopped;

static void stop(int number)
{
	(void)number;
	stopped = 1;
}

static bool show(void *context, const struct spark_progress *progress)
{
	static unsigned last = UINT32_MAX;
	(void)context;
	if (progress->statement != last || progress->tasks)
		fprintf(stderr, "%u/%u %s: stage %u, %u of %u\n", progress->statement, progress->statements,
			progress->what, progress->stage, progress->tasks_done, progress->tasks);
	last = progress->statement;
	return !stopped;
}

static int print_row(void *context, unsigned statement, struct slice json, struct error *err)
{
	(void)context;
	(void)err;
	printf("%u %.*s\n", statement, (int)json.len, json.data);
	return 0;
}

static struct spark_options options_of(int argc, char **argv, struct spark_setting *settings)
{
	struct spark_options options = {.command = argv[0], .master = argv[1], .settings = settings, .tmp_dir = "/tmp"};
	const char *const tmp = getenv("TMPDIR");
	if (tmp)
		options.tmp_dir = tmp;
	for (int i = 2; i < argc && options.n_settings < SETTINGS_MAX; i++) {
		char *const sign = strchr(argv[i], '=');
		if (!sign)
			continue;
		*sign = '\0';
		settings[options.n_settings++] = (struct spark_setting){argv[i], sign + 1};
	}
	options.row = print_row;
	options.progress = show;
	return options;
}

/* `from_text` NULL: a rebuild. */
static int make(const char *from_text, int argc, char **argv, struct error *err)
{
	struct spark_setting settings[SETTINGS_MAX];
	struct deployment *deployment = NULL;
	struct cluster_report report;
	char *fold = NULL;
	int32_t day;
	if (civil_parse(argv[1], strlen(argv[1]), &day) < 0)
		return error_set(err, ERROR_USAGE, "'%s' is no date", argv[1]);
	int rc = deployment_open(argv[0], DEPLOYMENT_READ, "spark_job", &deployment, err);
	if (rc < 0)
		return rc;
	const char *const given = getenv("PUNCHCARD_FOLD");
	fold = text_printf("%s", given ? given : "");
	char *const programme = text_printf("%s/programme.yaml", deployment->dir);
	const struct cluster_tables tables = {
		.database = "punchcard", .warehouse = argv[2], .id_type = deployment->config->customer_id};
	const struct cluster_job job = {
		.tables = &tables,
		.programme = deployment->programme,
		.programme_path = programme,
		.fold_path = fold,
		.models_dir = deployment->models_dir,
		.day = day,
		.spark = options_of(argc - 3, argv + 3, settings),
		.progress = show,
	};
	if (from_text) {
		const struct cut_edge edge = {.name = "",
					      .next_block = strtoull(strchrnul(from_text, ':') + 1, NULL, 10)};
		const struct cluster_cut cut = {.edges = &edge, .n_edges = 1};
		struct cluster_from from = {.cut = &cut};
		report = (struct cluster_report){0};
		rc = civil_parse(from_text, strcspn(from_text, ":"), &from.day);
		rc = rc < 0 ? error_set(err, ERROR_USAGE, "no date") : cluster_refresh(&job, &from, &report, err);
	} else {
		rc = cluster_rebuild(&job, &report, err);
	}
	if (rc == 0)
		printf("{\"rows\": %lld, \"customers\": %lld, \"events\": %lld, \"postings\": %lld, \"marked\": "
		       "%lld, \"rewritten\": %lld, \"vanished\": %u}\n",
		       (long long)report.rows, (long long)report.customers, (long long)report.events,
		       (long long)report.postings, (long long)report.marked, (long long)report.rewritten,
		       report.vanished);
	free(programme);
	free(fold);
	deployment_close(deployment);
	return rc;
}

static int add_line(struct spark_script *script, char *line, struct error *err)
{
	line[strcspn(line, "\n")] = '\0';
	if (strncmp(line, "rows ", 5) == 0)
		return spark_script_add_rows(script, "rows", line + 5, err);
	if (strncmp(line, "model ", 6) != 0)
		return spark_script_add(script, "a statement", line, err);
	char *rest = line + 6;
	const char *const dir = strsep(&rest, " ");
	const char *const name = strsep(&rest, " ");
	return spark_script_add_model(script, dir, name, rest ? rest : "", "", err);
}

static int sql(int argc, char **argv, struct error *err)
{
	struct spark_setting settings[SETTINGS_MAX];
	const struct spark_options options = options_of(argc - 1, argv + 1, settings);
	struct spark_script *const script = spark_script_new();
	FILE *const file = fopen(argv[0], "re");
	char *line = NULL;
	size_t cap = 0;
	int rc = script && file ? 0 : error_set(err, ERROR_USAGE, "cannot read %s", argv[0]);
	while (rc == 0 && getline(&line, &cap, file) > 0)
		rc = add_line(script, line, err);
	if (rc == 0)
		rc = spark_run(&options, script, err);
	if (file)
		fclose(file);
	free(line);
	spark_script_free(script);
	return rc;
}

int main(int argc, char **argv)
{
	struct error err = {0};
	const struct sigaction action = {.sa_handler = stop};
	sigaction(SIGTERM, &action, NULL);
	int rc = ERROR_USAGE;
	if (argc >= 7 && strcmp(argv[1], "rebuild") == 0)
		rc = make(NULL, argc - 2, argv + 2, &err);
	else if (argc >= 8 && strcmp(argv[1], "refresh") == 0)
		rc = make(argv[2], argc - 3, argv + 3, &err);
	else if (argc >= 5 && strcmp(argv[1], "sql") == 0)
		rc = sql(argc - 2, argv + 2, &err);
	if (rc < 0)
		fprintf(stderr, "error %d: %s\n", rc, err.message);
	return rc < 0 ? 1 : 0;
}
