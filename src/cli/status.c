#include "serving/status.h"

#include "cli/command.h"
#include "cli/json_keys.h"
#include "cli/reader.h"
#include "cli/show.h"
#include "cli/top_show.h"

#include <getopt.h>
#include <string.h>

static const char USAGE[] =
	"usage: punchcard [-C DIR] status [--json]\n"
	"\n"
	"Shows what came in from each source, what the tables hold, and how far each consumer of the journal\n"
	"is. Sources that the journal knows and punchcard.yaml does not, such as a Flume agent's, stand behind\n"
	"the others. A lag is what is durable but not yet in the table or the view: the daemon (`punchcard run`),\n"
	"or `punchcard collect --once`, catches up. What the daemon does at this moment, `punchcard top` shows.\n"
	"On a cluster it tells of this edge alone.\n"
	"\n"
	"exit codes: 0 shown; 1 it could not be read; 2 usage or configuration\n";

/* Flume agents' sources are called so: flume_source_name. */
#define FLUME_PREFIX "flume-"

enum { OPTION_JSON = 256 };

static const struct option OPTIONS[] = {
	{"json", no_argument, NULL, OPTION_JSON},
	{NULL, 0, NULL, 0},
};

static const char *time_text(const struct deployment *deployment, int64_t time_us, char out[20])
{
	if (time_us == 0)
		return "never";
	civil_format_time(deployment->programme->timezone, time_us, out);
	return out;
}

/* The number stands in a column of its own. */
static const char *plural(uint64_t n)
{
	return n == 1 ? "" : "s";
}

static void print_source_name(const struct status_source *s)
{
	const struct config_source *const source = s->source;
	if (s->own) {
		printf("  %s (%s%snot in punchcard.yaml%s)\n", source->name, s->type ? s->type : "",
		       s->type ? ", " : "",
		       strncmp(source->name, FLUME_PREFIX, strlen(FLUME_PREFIX)) == 0 ? ": a Flume agent's" : "");
		return;
	}
	const char *const where = source->type == SOURCE_SPOOL  ? source->dir
				  : source->type == SOURCE_TAIL ? source->path
				  : source->type == SOURCE_EXEC ? source->command.items[0]
				  : source->listen              ? source->listen
				  : source->brokers             ? source->brokers
								: "";
	printf("  %s (%s, %s%s%s)\n", source->name, source->format, config_source_type_name(source->type),
	       *where ? " " : "", where);
}

static bool has_files(const struct status_source *s)
{
	return s->type && (strcmp(s->type, config_source_type_name(SOURCE_SPOOL)) == 0 ||
			   strcmp(s->type, config_source_type_name(SOURCE_TAIL)) == 0);
}

static void print_sources(const struct deployment *deployment, const struct status *status)
{
	char n[5][NUMBER_TEXT_MAX];
	char when[20];
	puts("sources");
	for (unsigned i = 0; i < status->n_sources; i++) {
		const struct status_source *const s = &status->sources[i];
		print_source_name(s);
		if (s->unreadable)
			puts("    the directory cannot be listed: make it, or correct sources in punchcard.yaml");
		if (has_files(s))
			printf("    files    %s taken, %s begun, %s waiting; last taken %s\n",
			       number_text(s->files, n[0]), number_text(s->files_open, n[1]),
			       s->own ? "?" : number_text(s->files_waiting, n[2]),
			       time_text(deployment, s->last_us, when));
		else
			printf("    last taken %s\n", time_text(deployment, s->last_us, when));
		printf("    lines    %s read = %s taken + %s had already + %s quarantined\n",
		       number_text(s->counts.lines, n[0]), number_text(intake_taken(&s->counts), n[1]),
		       number_text(s->counts.duplicates, n[2]), number_text(s->counts.quarantined, n[3]));
		if (s->lost)
			printf("    %s lost: messages that the brokers removed before they were read\n",
			       number_text(s->lost, n[0]));
	}
}

static void print_consumer(const struct status *status, const struct status_consumer *c)
{
	char n[3][NUMBER_TEXT_MAX];
	const uint64_t blocks = status->next_block - c->offset;
	printf("  %-17s %15s line%s (%s block%s) behind, at block %s\n", c->name, number_text(c->lag_lines, n[0]),
	       plural(c->lag_lines), number_text(blocks, n[1]), plural(blocks), number_text(c->offset - 1, n[2]));
}

static void print_cluster(const struct config_cluster *cluster, const struct status *status)
{
	char n[2][NUMBER_TEXT_MAX];
	puts("\ncluster");
	printf("  edge              %s\n  HDFS              %s, %s\n  HBase             %s, tables %s...\n",
	       cluster->edge, cluster->hdfs_url, cluster->hdfs_path, cluster->hbase_url, cluster->hbase_prefix);
	printf("  from this edge    %15s row%s of %s order%s\n", number_text(status->transactions, n[0]),
	       plural(status->transactions), number_text(status->orders, n[1]), plural(status->orders));
}

static void print_tables(const struct deployment *deployment, const struct status *status)
{
	char n[2][NUMBER_TEXT_MAX];
	char when[20];
	puts("\ntables");
	printf("  customers_cln     %15s customer%s\n", number_text(status->customers, n[0]),
	       plural(status->customers));
	printf("  transactions_cln  %15s row%s of %s order%s\n", number_text(status->transactions, n[0]),
	       plural(status->transactions), number_text(status->orders, n[1]), plural(status->orders));
	printf("  accounts          %15s customer%s with orders or other events\n", number_text(status->accounts, n[0]),
	       plural(status->accounts));
	struct deployment_holder holder;
	if (status->accounts && status->other_programme[0])
		printf("                    %15s by the programme before its last change (%s): %s them again\n", "",
		       status->other_programme,
		       deployment_holder(deployment, DEPLOYMENT_COLLECT, &holder) ? "the collector is making"
										  : "punchcard collect --once makes");
	if (status->marked)
		printf("                    %15s of them to be recomputed: punchcard run does it by itself, else "
		       "collect --once\n",
		       number_text(status->marked, n[0]));
	if (status->loyalty_partitions)
		printf("  loyalty           %15s day%s, the last %s; refreshed %s\n",
		       number_text(status->loyalty_partitions, n[0]), plural(status->loyalty_partitions),
		       status->loyalty_last, time_text(deployment, status->loyalty_last_us, when));
	else
		puts("  loyalty                         0 days; punchcard refresh --data-dt DATE makes one");
}

static void print_status(const struct deployment *deployment, const struct status *status)
{
	char n[2][NUMBER_TEXT_MAX];
	char size[3][BYTES_TEXT_MAX];
	printf("%s: %s\n\n", deployment->dir, deployment->programme->name);
	top_status(deployment, &status->daemon, &status->daemon_err);
	putchar('\n');
	print_sources(deployment, status);
	if (status->on_cluster)
		print_cluster(&deployment->config->cluster, status);
	else
		print_tables(deployment, status);
	puts("\njournal");
	printf("  blocks            %15s written, %s kept\n", number_text(status->next_block - 1, n[0]),
	       number_text(status->blocks, n[1]));
	printf("  size              %15s used, of a file of %s; %s not taken by all:\n",
	       bytes_text(status->journal_bytes, size[0]), bytes_text(status->journal_file_bytes, size[1]),
	       bytes_text(status->backlog_bytes, size[2]));
	for (unsigned i = 0; i < status->n_consumers; i++)
		print_consumer(status, &status->consumers[i]);
}

static void json_sources(struct json *out, const struct status *status)
{
	json_key(out, "sources");
	json_array(out);
	for (unsigned i = 0; i < status->n_sources; i++) {
		const struct status_source *const s = &status->sources[i];
		json_object(out);
		json_key(out, "name");
		json_text(out, s->source->name);
		key_text(out, "type", s->type);
		json_key(out, "configured");
		json_bool(out, !s->own);
		key_uint(out, "files", s->files);
		key_uint(out, "files_open", s->files_open);
		key_uint(out, "files_waiting", s->files_waiting);
		json_key(out, "unreadable");
		json_bool(out, s->unreadable);
		key_uint(out, "bytes", s->bytes);
		key_uint(out, "lines", s->counts.lines);
		key_uint(out, "rows", s->counts.rows);
		key_uint(out, "orders", s->counts.events);
		key_uint(out, "duplicates", s->counts.duplicates);
		key_uint(out, "quarantined", s->counts.quarantined);
		key_uint(out, "lost", s->lost);
		key_time(out, "last_taken", s->last_us);
		json_end_object(out);
	}
	json_end_array(out);
}

/* null: none ever ran. */
static void json_daemon(struct json *out, const struct status *status)
{
	json_key(out, "daemon");
	if (status->daemon_err.code) {
		json_object(out);
		json_key(out, "state");
		json_text(out, "unknown");
		json_key(out, "error");
		json_text(out, status->daemon_err.message);
		json_end_object(out);
	} else if (status->daemon.now)
		top_json(out, &status->daemon, false);
	else
		json_null(out);
}

/* On a cluster: what this edge has, and where the rest is. */
static void json_tables(struct json *out, const struct deployment *deployment, const struct status *status)
{
	const struct config_cluster *const cluster = &deployment->config->cluster;
	const bool other = status->accounts && status->other_programme[0];
	json_key(out, "tables");
	json_object(out);
	key_uint(out, "transactions_cln", status->transactions);
	key_uint(out, "orders", status->orders);
	key_uint(out, "quarantined_order_lines", status->quarantined);
	if (!status->on_cluster) {
		key_uint(out, "customers_cln", status->customers);
		key_uint(out, "accounts", status->accounts);
		key_uint(out, "accounts_marked", status->marked);
		json_key(out, "accounts_being_recomputed");
		json_bool(out, other);
		json_key(out, "accounts_programme");
		json_text(out, other ? status->other_programme : deployment->programme->hash_text);
	}
	json_end_object(out);
	json_key(out, status->on_cluster ? "cluster" : "loyalty");
	json_object(out);
	if (status->on_cluster) {
		key_text(out, "edge", cluster->edge);
		key_text(out, "hdfs", cluster->hdfs_url);
		key_text(out, "path", cluster->hdfs_path);
		key_text(out, "hbase", cluster->hbase_url);
		key_text(out, "table_prefix", cluster->hbase_prefix);
	} else {
		key_uint(out, "partitions", status->loyalty_partitions);
		key_text(out, "last_data_dt", status->loyalty_last[0] ? status->loyalty_last : NULL);
		key_time(out, "last_refresh", status->loyalty_last_us);
	}
	json_end_object(out);
}

static int print_json(const struct deployment *deployment, const struct status *status)
{
	static const char *const CONSUMER_KEYS[] = {"transactions_cln", "view"};
	struct json out;
	json_to_file(&out, stdout);
	json_object(&out);
	json_key(&out, "deployment");
	json_text(&out, deployment->dir);
	json_key(&out, "programme");
	json_text(&out, deployment->programme->name);
	json_daemon(&out, status);
	json_sources(&out, status);
	json_tables(&out, deployment, status);
	json_key(&out, "journal");
	json_object(&out);
	key_uint(&out, "blocks_written", status->next_block - 1);
	key_uint(&out, "blocks_kept", status->blocks);
	key_uint(&out, "bytes", status->journal_bytes);
	key_uint(&out, "file_bytes", status->journal_file_bytes);
	key_uint(&out, "backlog_bytes", status->backlog_bytes);
	json_key(&out, "consumers");
	json_object(&out);
	for (unsigned i = 0; i < status->n_consumers; i++) {
		json_key(&out, i < 2 && !status->on_cluster ? CONSUMER_KEYS[i] : status->consumers[i].name);
		json_object(&out);
		key_uint(&out, "offset", status->consumers[i].offset);
		key_uint(&out, "lag_lines", status->consumers[i].lag_lines);
		key_uint(&out, "lag_blocks", status->next_block - status->consumers[i].offset);
		json_end_object(&out);
	}
	json_end_object(&out);
	json_end_object(&out);
	json_end_object(&out);
	json_newline(&out);
	struct error err = {0};
	return json_finish(&out, &err) < 0 ? cli_fail(&err) : EXIT_OK;
}

static int run(const struct cli *cli, int argc, char **argv)
{
	bool as_json = false;
	int option;
	opterr = 0;
	while ((option = getopt_long(argc, argv, "", OPTIONS, NULL)) != -1) {
		if (option != OPTION_JSON)
			return cli_usage_error("status", "unknown option '%s'", argv[optind - 1]);
		as_json = true;
	}
	if (optind < argc)
		return cli_usage_error("status", "'%s' is one argument too many", argv[optind]);
	struct error err = {0};
	struct deployment *deployment = NULL;
	struct status status = {0};
	int rc = reader_open(cli, "status", &deployment, &err);
	if (rc == 0)
		rc = status_read(deployment, &status, &err);
	if (rc < 0) {
		deployment_close(deployment);
		return cli_fail(&err);
	}
	int code = EXIT_OK;
	if (as_json)
		code = print_json(deployment, &status);
	else
		print_status(deployment, &status);
	status_release(&status);
	deployment_close(deployment);
	return code;
}

const struct command command_status = {
	.name = "status",
	.summary = "show what came in, what is there, and what lags",
	.usage = USAGE,
	.run = run,
};
