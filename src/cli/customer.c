#include "base/json.h"
#include "base/tz.h"
#include "cli/command.h"
#include "cli/show.h"
#include "serving/lookup.h"

#include <getopt.h>
#include <string.h>

static const char USAGE[] =
	"usage: punchcard [-C DIR] customer ID [--json]\n"
	"\n"
	"Shows a customer's card: who they are, what they spent, and the points they have. Times are local ones of "
	"the\n"
	"programme's timezone; with --json they are UTC.\n"
	"\n"
	"exit codes: 0 found; 1 there is no such customer, or it could not be read; 2 usage or configuration\n";

enum { OPTION_JSON = 256 };

static const struct option OPTIONS[] = {
	{"json", no_argument, NULL, OPTION_JSON},
	{NULL, 0, NULL, 0},
};

static void row(const char *label, struct slice value)
{
	if (value.len == 0)
		return;
	printf("  %-12s ", label);
	show_text(stdout, value);
	putchar('\n');
}

static void row_text(const char *label, const char *value)
{
	row(label, slice_of(value));
}

static void print_card(const struct deployment *deployment, const struct customer_card *card, const char *id)
{
	const struct programme *const programme = deployment->programme;
	const struct profile *const p = &card->profile;
	char n[NUMBER_TEXT_MAX];
	char line[3 * NUMBER_TEXT_MAX];
	char when[20];
	if (card->has_profile && p->name.len) {
		show_text(stdout, p->name);
		putchar('\n');
	} else {
		printf("Customer %s (%s)\n", id,
		       card->has_profile ? "without a name" : "no customer file names them yet");
	}
	row_text("customer", id);
	row("card", p->card);
	row("email", p->email);
	row("member since", p->since);
	row("born", p->birth_date);
	putchar('\n');
	if (!card->has_account) {
		puts("  no orders yet");
		return;
	}
	row_text("points", points_text(card->points_milli, n));
	snprintf(line, sizeof(line), "%s %s", decimal_text(card->spend_minor, 2, 2, n), programme->currency);
	row_text("spent", line);
	row_text("orders", number_text((uint64_t)card->orders, n));
	row_text("visits", number_text((uint64_t)card->visits, n));
	civil_format_time(programme->timezone, card->first_us, when);
	row_text("first order", when);
	civil_format_time(programme->timezone, card->last_us, when);
	row_text("last order", when);
}

static void json_slice_or_null(struct json *out, const char *key, struct slice value)
{
	json_key(out, key);
	if (value.len)
		json_slice(out, value);
	else
		json_null(out);
}

static void json_time_or_null(struct json *out, const char *key, bool known, int64_t time_us)
{
	json_key(out, key);
	if (!known) {
		json_null(out);
		return;
	}
	json_time(out, time_us);
}

static int print_json(const struct customer_card *card)
{
	struct json out;
	json_to_file(&out, stdout);
	json_object(&out);
	json_key(&out, "cust_id");
	if (card->id.text.len)
		json_slice(&out, card->id.text);
	else
		json_int(&out, card->id.number);
	json_slice_or_null(&out, "name", card->profile.name);
	json_slice_or_null(&out, "email", card->profile.email);
	json_slice_or_null(&out, "card", card->profile.card);
	json_slice_or_null(&out, "since", card->profile.since);
	json_slice_or_null(&out, "birth_date", card->profile.birth_date);
	json_slice_or_null(&out, "gender", card->profile.gender);
	json_key(&out, "orders");
	json_int(&out, card->orders);
	json_key(&out, "visits");
	json_int(&out, card->visits);
	json_key(&out, "spend");
	json_decimal(&out, card->spend_minor, 2);
	json_key(&out, "points");
	json_decimal(&out, card->points_milli, 3);
	json_key(&out, "points_earned");
	json_decimal(&out, card->points_earned_milli, 3);
	json_time_or_null(&out, "first_order", card->has_account, card->first_us);
	json_time_or_null(&out, "last_order", card->has_account, card->last_us);
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
			return cli_usage_error("customer", "unknown option '%s'", argv[optind - 1]);
		as_json = true;
	}
	if (optind + 1 != argc)
		return cli_usage_error("customer", "which customer? One id, as in `punchcard customer 558`");
	struct error err = {0};
	struct deployment *deployment = NULL;
	struct lookup *lookup = NULL;
	struct customer_card card = {0};
	int rc = deployment_open(cli->dir, DEPLOYMENT_READ, "customer", &deployment, &err);
	if (rc == 0)
		rc = lookup_open(deployment, &lookup, &err);
	if (rc == 0)
		rc = lookup_customer(lookup, argv[optind], &card, &err);
	int code = EXIT_OK;
	if (rc < 0)
		code = cli_fail(&err);
	else if (as_json)
		code = print_json(&card);
	else
		print_card(deployment, &card, argv[optind]);
	lookup_close(lookup);
	deployment_close(deployment);
	return code;
}

const struct command command_customer = {
	.name = "customer",
	.summary = "show a customer's card",
	.usage = USAGE,
	.run = run,
};
