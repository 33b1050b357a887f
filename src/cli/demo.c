#include "base/file.h"
#include "base/limits.h"
#include "base/tz.h"
#include "batch/customers.h"
#include "batch/refresh.h"
#include "cli/command.h"
#include "cli/show.h"
#include "serving/summary.h"
#include "speed/collect.h"

#include <errno.h>
#include <getopt.h>
#include <libgen.h>
#include <limits.h>
#include <string.h>
#include <unistd.h>

static const char USAGE[] =
	"usage: punchcard demo DIR\n"
	"\n"
	"Makes a deployment in DIR and runs the whole job on real input: a coffee chain's 2,246 members and April 2019 "
	"of\n"
	"its receipts (IBM's sample data; the people are fictitious). Loads, collects, refreshes, and sums up.\n"
	"\n"
	"exit codes: 0 done; 1 it could not be done; 2 usage\n";

static const struct option OPTIONS[] = {{NULL, 0, NULL, 0}};

#define EXAMPLE          "examples/coffee"
#define EXAMPLE_FILE_MAX ((size_t)64 * 1024 * 1024)

/* Beside the binary: <prefix>/share/punchcard when installed, or in the build tree. */
static int find_examples(char out[PATH_MAX], struct error *err)
{
	char exe[PATH_MAX];
	const ssize_t len = readlink("/proc/self/exe", exe, sizeof(exe) - 1);
	if (len < 0)
		return error_errno(err, errno, "cannot find out where punchcard is");
	exe[len] = '\0';
	const char *const bin = dirname(exe);
	const int n = snprintf(out, PATH_MAX, "%s/../share/punchcard/" EXAMPLE, bin);
	if (n < 0 || n >= PATH_MAX || !file_exists(out))
		return error_set(err, ERROR_NOT_FOUND,
				 "the example's files are not in %.3000s; install punchcard again", out);
	return 0;
}

static int copy_file(const char *from_dir, const char *name, const char *to_dir, struct error *err)
{
	_cleanup_free_ char *from = text_printf("%s/%s", from_dir, name);
	_cleanup_free_ char *to = text_printf("%s/%s", to_dir, name);
	_cleanup_buf_ struct buf content = {0};
	if (!from || !to)
		return error_no_memory(err, LIMIT_PATH_BYTES);
	const int rc = file_read_all(from, EXAMPLE_FILE_MAX, &content, err);
	return rc < 0 ? rc : file_write_durable(to, content.data, content.len, err);
}

static int make_deployment(const char *dir, const char *examples, struct error *err)
{
	_cleanup_free_ char *spool = text_printf("%s/spool", dir);
	if (!spool)
		return error_no_memory(err, LIMIT_PATH_BYTES);
	int rc = deployment_init(dir, err);
	if (rc == 0)
		rc = copy_file(examples, "programme.yaml", dir, err);
	if (rc == 0)
		rc = copy_file(examples, "punchcard.yaml", dir, err);
	return rc < 0 ? rc : copy_file(examples, "receipts.csv", spool, err);
}

/* The demonstration's intake is small and clean: only the sums matter. */

static void on_file(void *context, const struct intake_file *file)
{
	struct intake_counts *const sum = context;
	sum->lines += file->counts->lines;
	sum->rows += file->counts->rows;
	sum->events += file->counts->events;
	sum->quarantined += file->counts->quarantined;
	if (!file->message)
		return;
	fputs("punchcard: ", stderr);
	show_text(stderr, slice_of(file->name));
	fputs(": ", stderr);
	show_text(stderr, slice_of(file->message));
	fputc('\n', stderr);
}

static void on_committed(void *context, uint64_t lines)
{
	(void)context;
	(void)lines;
}

static bool must_stop(void *context)
{
	(void)context;
	return false;
}

static int load(struct deployment *deployment, const char *examples, struct error *err)
{
	_cleanup_free_ char *path = text_printf("%s/customer.csv", examples);
	if (!path)
		return error_no_memory(err, LIMIT_PATH_BYTES);
	struct customers_report report;
	const char *const paths[] = {path};
	const int rc = customers_load(deployment, paths, 1, NULL, &report, err);
	if (rc < 0)
		return rc;
	char n[NUMBER_TEXT_MAX];
	printf("  load customers     %s customers\n", number_text(report.customers, n));
	customers_report_release(&report);
	return 0;
}

static int collect(const struct deployment *deployment, struct error *err)
{
	struct intake_counts sum = {0};
	const struct intake_hooks hooks = {
		.file = on_file, .committed = on_committed, .stop = must_stop, .context = &sum};
	unsigned failed = 0;
	struct deployment *collector = NULL;
	int rc = deployment_open_beside(deployment, DEPLOYMENT_COLLECT, &collector, err);
	if (rc == 0)
		rc = collect_once(collector, NULL, &hooks, &failed, err);
	deployment_close(collector);
	if (rc < 0)
		return rc;
	if (failed)
		return error_set(err, ERROR_INPUT, "the receipts could not be read");
	char n[2][NUMBER_TEXT_MAX];
	printf("  collect --once     %s receipt lines of %s orders\n", number_text(sum.rows, n[0]),
	       number_text(sum.events, n[1]));
	return 0;
}

static int refresh(const struct deployment *deployment, const char *last_day, struct error *err)
{
	int32_t data_dt;
	struct refresh_report report;
	if (civil_parse(last_day, strlen(last_day), &data_dt) < 0)
		return error_set(err, ERROR_INPUT, "there are no sales to refresh");
	const int rc = refresh_loyalty(deployment, data_dt, &report, err);
	if (rc < 0)
		return rc;
	char n[NUMBER_TEXT_MAX];
	printf("  refresh            loyalty of %s: %s customers\n", last_day, number_text(report.customers, n));
	return 0;
}

static void print_sales(const char *who, const struct summary_sales *sales, int64_t total_minor, const char *currency)
{
	char n[3][NUMBER_TEXT_MAX];
	const int64_t permille = total_minor ? (sales->amount_minor * 2000 / total_minor + 1) / 2 : 0;
	printf("  %-22s %14s %s  %5s %%   %8s lines\n", who, decimal_text(sales->amount_minor, 2, 2, n[0]), currency,
	       decimal_text(permille, 1, 1, n[1]), number_text((uint64_t)sales->lines, n[2]));
}

static void print_summary(const struct deployment *deployment, const struct summary *s)
{
	const char *const currency = deployment->programme->currency;
	char n[4][NUMBER_TEXT_MAX];
	const int64_t total = s->members.amount_minor + s->guests.amount_minor + s->unknown.amount_minor;
	const struct summary_sales all = {.lines = s->members.lines + s->guests.lines + s->unknown.lines,
					  .amount_minor = total};
	printf("\nSales, %s to %s\n", s->first_day, s->last_day);
	print_sales("members", &s->members, total, currency);
	print_sales("guests", &s->guests, total, currency);
	print_sales("unknown customers", &s->unknown, total, currency);
	print_sales("total", &all, total, currency);
	printf("\n  %s of %s members bought something; %s customer numbers on receipts are in no customer file.\n",
	       number_text((uint64_t)s->members.customers, n[0]), number_text((uint64_t)s->named, n[1]),
	       number_text((uint64_t)s->unknown.customers, n[2]));
	printf("  %s points issued (", points_text(s->points_issued_milli, n[0]));
	show_text(stdout, slice_of(deployment->programme->name));
	puts(").");
	puts("\nTop members");
	for (unsigned i = 0; i < s->n_top; i++) {
		const struct summary_member *const m = &s->top[i];
		printf("  %10s %s  %4s orders on %3s days  customer %-6s ", decimal_text(m->spend_minor, 2, 2, n[0]),
		       currency, number_text((uint64_t)m->orders, n[1]), number_text((uint64_t)m->visits, n[2]), m->id);
		show_text(stdout, slice_of(m->name));
		putchar('\n');
	}
	puts("\nSet aside");
	for (unsigned i = 0; i < s->n_reasons; i++)
		printf("  %10s  %s\n", number_text((uint64_t)s->reasons[i].lines, n[0]), s->reasons[i].reason);
	if (s->n_reasons == 0)
		puts("  nothing: every line was understood");
}

/* A word as a shell takes it: in quotes when it has more than what paths usually have. */
static void print_word(const char *word)
{
	static const char PLAIN[] = "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789_./+:@%,-";
	if (*word && word[strspn(word, PLAIN)] == '\0') {
		fputs(word, stdout);
		return;
	}
	putchar('\'');
	for (const char *rest = word; *rest;) {
		const size_t n = strcspn(rest, "'");
		show_text(stdout, (struct slice){rest, n});
		rest += n;
		for (; *rest == '\''; rest++)
			fputs("'\\''", stdout);
	}
	putchar('\'');
}

/* Commands that work as they are written, whatever punchcard was called by. */
static void print_next(const char *dir, const struct summary *s)
{
	const char *const top = s->n_top ? s->top[0].id : "1";
	_cleanup_free_ char *customer = text_printf("customer %s", top);
	_cleanup_free_ char *explain = text_printf("explain %s", top);
	_cleanup_free_ char *programme = text_printf("%s/programme.yaml", dir);
	const char *const commands[] = {
		customer ? customer : "customer 1",
		explain ? explain : "explain 1",
		"sql 'select store, sum(odr_amt) as sales from transactions_cln group by store'",
		"audit",
		"status",
		"simulate --programme"};
	const size_t n = sizeof(commands) / sizeof(commands[0]);
	puts("\nTry next");
	for (size_t i = 0; i < n; i++) {
		fputs("  ", stdout);
		print_word(program_invocation_name);
		fputs(" -C ", stdout);
		print_word(dir);
		printf(" %s", commands[i]);
		/* The last one's file: to be edited, or another. */
		if (i + 1 == n) {
			putchar(' ');
			print_word(programme ? programme : "programme.yaml");
		}
		putchar('\n');
	}
}

static int demo(const char *dir, struct error *err)
{
	char examples[PATH_MAX];
	struct deployment *deployment = NULL;
	struct summary summary;
	int rc = find_examples(examples, err);
	if (rc == 0)
		rc = make_deployment(dir, examples, err);
	if (rc < 0)
		return rc;
	printf("A coffee chain with three outlets in New York, April 2019 (IBM's sample data; fictitious people)\n\n");
	rc = deployment_open(dir, DEPLOYMENT_WRITE, "demo", &deployment, err);
	if (rc == 0)
		rc = load(deployment, examples, err);
	if (rc == 0)
		rc = collect(deployment, err);
	if (rc == 0)
		rc = summary_make(deployment, &summary, err);
	if (rc == 0)
		rc = refresh(deployment, summary.last_day, err);
	if (rc == 0) {
		print_summary(deployment, &summary);
		print_next(dir, &summary);
	}
	deployment_close(deployment);
	return rc;
}

static int run(const struct cli *cli, int argc, char **argv)
{
	(void)cli;
	opterr = 0;
	if (getopt_long(argc, argv, "", OPTIONS, NULL) != -1)
		return cli_usage_error("demo", "unknown option '%s'", argv[optind - 1]);
	if (optind + 1 != argc)
		return cli_usage_error("demo", "where? One directory, which is made: punchcard demo coffee");
	struct error err = {0};
	return demo(argv[optind], &err) < 0 ? cli_fail(&err) : EXIT_OK;
}

const struct command command_demo = {
	.name = "demo",
	.summary = "run the whole job on a coffee chain's real data",
	.usage = USAGE,
	.run = run,
};
