#include "base/file.h"
#include "cli/command.h"
#include "cli/reader.h"
#include "serving/query.h"

#include <errno.h>
#include <getopt.h>
#include <poll.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

/* Queries are typed by people, or made by a program of a dashboard. */
#define QUERY_BYTES_MAX (1024u * 1024u)
#define TIMEOUT_MAX_S   (7 * 24 * 3600)

static const char USAGE[] =
	"usage: punchcard [-C DIR] sql [--csv | --json] [--timeout SECONDS] ['SELECT ...' | -]\n"
	"\n"
	"Runs a query over the deployment's tables; without one, or with -, it is read from standard input.\n"
	"Several statements stand with a ; between them.\n"
	"\n"
	"tables:\n"
	"  customers_cln      customers, one row each, cleaned\n"
	"  transactions_cln   lines of orders, one row each; the newest are here as soon as they are collected\n"
	"  accounts           the customer view: orders, visits, spend, points of each customer, as of now\n"
	"  account_balances   the same, a row a customer and ledger\n"
	"  ledger             each entry that made or took points: the event, the rule, the lot, the balance behind "
	"it\n"
	"  balances           each customer and ledger at the end of a day, a partition a data_dt\n"
	"  loyalty            the loyalty table, a partition a data_dt\n"
	"  quarantine         lines that were set aside, and why\n"
	"\n"
	"  --csv              CSV with a header: NULL is nothing, an empty text is \"\"\n"
	"  --json             an array of objects, one a line; of each statement its own\n"
	"  --timeout SECONDS  stop after so long\n"
	"\n"
	"The language is DuckDB's SQL (https://duckdb.org/docs/sql/introduction); DESCRIBE loyalty shows columns, "
	"SHOW\n"
	"TABLES names the tables, SUMMARIZE gives figures of each column. Queries only read: COPY, SET, ATTACH, "
	"INSTALL,\n"
	"CREATE and their like are refused, and no file outside the deployment's data is reached. Times are UTC.\n"
	"Ctrl-C stops a query.\n"
	"\n"
	"On a cluster the language is Spark's SQL (https://spark.apache.org/docs/latest/sql-ref.html), and it is one\n"
	"SELECT, WITH ... SELECT or VALUES, over transactions_cln, customers_cln, ledger, balances and loyalty. Spark "
	"is\n"
	"started for it, which takes some ten seconds.\n";

struct arguments {
	enum table_format format;
	unsigned timeout_s;
	const char *sql; /* NULL: standard input */
};

static int parse_timeout(const char *text, unsigned *out)
{
	char *end = NULL;
	errno = 0;
	const unsigned long value = strtoul(text, &end, 10);
	if (errno || end == text || *end || text[0] < '0' || text[0] > '9' || value == 0 || value > TIMEOUT_MAX_S)
		return cli_usage_error("sql", "--timeout needs whole seconds, 1 to %d; not '%s'", TIMEOUT_MAX_S, text);
	*out = (unsigned)value;
	return EXIT_OK;
}

static int parse_arguments(int argc, char **argv, struct arguments *out)
{
	static const struct option OPTIONS[] = {
		{"csv", no_argument, NULL, 'c'},
		{"json", no_argument, NULL, 'j'},
		{"timeout", required_argument, NULL, 't'},
		{NULL, 0, NULL, 0},
	};
	bool has_format = false;
	opterr = 0;
	optind = 1;
	for (int option; (option = getopt_long(argc, argv, ":", OPTIONS, NULL)) != -1;) {
		switch (option) {
		case 'c':
		case 'j':
			if (has_format)
				return cli_usage_error("sql", "--csv and --json: one of them");
			has_format = true;
			out->format = option == 'c' ? TABLE_CSV : TABLE_JSON;
			break;
		case 't':
			if (parse_timeout(optarg, &out->timeout_s) != EXIT_OK)
				return EXIT_USAGE;
			break;
		case ':':
			return cli_usage_error("sql", "%s needs a value", argv[optind - 1]);
		default:
			return cli_usage_error("sql", "unknown option %s", argv[optind - 1]);
		}
	}
	if (argc - optind > 1)
		return cli_usage_error("sql", "the query must be one argument: put it in quotes");
	if (argc - optind == 1 && strcmp(argv[optind], "-") != 0)
		out->sql = argv[optind];
	return EXIT_OK;
}

static int read_input(struct buf *sql, struct error *err)
{
	if (isatty(0) == 1)
		fputs("type the query, then Ctrl-D\n", stderr);
	for (;;) {
		if (buf_reserve(sql, 64 * 1024) < 0)
			return error_no_memory(err, 64 * 1024);
		const ssize_t n = read(0, sql->data + sql->len, sql->cap - sql->len);
		if (n < 0 && errno == EINTR)
			continue;
		if (n < 0)
			return error_errno(err, errno, "cannot read the query");
		if (n == 0)
			return 0;
		sql->len += (size_t)n;
		if (sql->len > QUERY_BYTES_MAX)
			return error_set(err, ERROR_LIMIT, "the query is longer than %u bytes", QUERY_BYTES_MAX);
	}
}

/* Whether who read our output has left (`| head`): no reason for a message. */
static bool reader_has_left(void)
{
	struct pollfd out = {.fd = 1, .events = POLLOUT};
	return poll(&out, 1, 0) == 1 && (out.revents & POLLERR);
}

static int run_query(const struct deployment *deployment, struct slice sql, const struct arguments *arguments)
{
	struct error err = {0};
	struct watch *watch = NULL;
	int rc = watch_start(arguments->timeout_s, &watch, &err);
	if (rc < 0)
		return cli_fail(&err);
	const struct query_options options = {.format = arguments->format, .out = stdout, .watch = watch};
	rc = query_run(deployment, sql, &options, &err);
	const enum watch_reason reason = watch_stop(watch);
	if (rc == 0)
		return EXIT_OK;
	if (rc == ERROR_INTERRUPTED && reason == WATCH_TIMEOUT)
		error_set(&err, ERROR_LIMIT, "the query was stopped after %u seconds (--timeout)",
			  arguments->timeout_s);
	if (ferror(stdout) && reader_has_left())
		return EXIT_FAILED;
	return cli_fail(&err);
}

static int run(const struct cli *cli, int argc, char **argv)
{
	struct arguments arguments = {.format = TABLE_TEXT};
	const int code = parse_arguments(argc, argv, &arguments);
	if (code != EXIT_OK)
		return code;
	struct error err = {0};
	struct deployment *deployment = NULL;
	if (reader_open(cli, "sql", &deployment, &err) < 0)
		return cli_fail(&err);
	_cleanup_buf_ struct buf input = {0};
	int result;
	if (!arguments.sql && read_input(&input, &err) < 0)
		result = cli_fail(&err);
	else
		result = run_query(deployment,
				   arguments.sql ? slice_of(arguments.sql) : (struct slice){input.data, input.len},
				   &arguments);
	deployment_close(deployment);
	return result;
}

const struct command command_sql = {
	.name = "sql",
	.summary = "run a query over the tables",
	.usage = USAGE,
	.run = run,
};
