#include "base/clock.h"
#include "base/decimal.h"
#include "cli/command.h"
#include "cli/json_keys.h"
#include "cli/show.h"
#include "serving/lookup.h"

#include <getopt.h>
#include <string.h>

static const char USAGE[] =
	"usage: punchcard [-C DIR] customer ID [--orders N] [--json]\n"
	"\n"
	"Shows a customer's card: who they are, what they spent, the points they have in each ledger, what of them is "
	"not\n"
	"spendable yet or expires soon, their tier, and the rewards that they could have now. Times are local ones of "
	"the\n"
	"programme's timezone; with --json they are UTC. After programme.yaml was changed the card is by the one of "
	"before\n"
	"until the next collect, and says so.\n"
	"\n"
	"Of the last orders, --orders N shows so many (5, at most 64) with time, amount and id, of those that the "
	"account still\n"
	"has one by one, which are the last days'; where it has fewer, it says from when on. What was in them, and "
	"what "
	"they\n"
	"earned, explain shows.\n"
	"\n"
	"exit codes: 0 found; 1 there is no such customer, or it could not be read; 2 usage or configuration\n";

enum { OPTION_JSON = 256, OPTION_ORDERS };

#define MICROS INT64_C(1000000)
/* Days with pending points that people are shown one by one. */
#define PENDING_MAX  10u
#define ORDERS_SHOWN 5u

static const struct option OPTIONS[] = {
	{"json", no_argument, NULL, OPTION_JSON},
	{"orders", required_argument, NULL, OPTION_ORDERS},
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

/* "12.5", or "3 stamps" where the ledger's points have another name than the ledger. */
static const char *ledger_text(const struct ledger_rules *ledger, int64_t points_milli, char *out, size_t size)
{
	char n[NUMBER_TEXT_MAX];
	points_text(points_milli, n);
	if (ledger->unit && strcmp(ledger->unit, ledger->name) != 0)
		snprintf(out, size, "%s %s", n, ledger->unit);
	else
		snprintf(out, size, "%s", n);
	return out;
}

static void print_pending(const struct account *account, unsigned ledger)
{
	struct card_pending next = {.day = DAY_MIN};
	unsigned n_days = 0;
	for (; lookup_pending(account, ledger, next.day, &next); n_days++) {
		char n[NUMBER_TEXT_MAX];
		char date[11];
		if (n_days >= PENDING_MAX)
			continue;
		civil_format(next.day, date);
		printf("  %-12s %s more from %s\n", "", points_text(next.points_milli, n), date);
	}
	if (n_days > PENDING_MAX)
		printf("  %-12s and more on %u later days\n", "", n_days - PENDING_MAX);
}

static void print_ledger(const struct programme *programme, const struct customer_card *card, unsigned ledger)
{
	const struct ledger_rules *const rules = &programme->ledgers[ledger];
	struct account_balance balance;
	char line[128];
	char n[NUMBER_TEXT_MAX];
	char date[11];
	account_balance(card->account, ledger, &balance);
	row_text(rules->name, ledger_text(rules, balance.balance_milli, line, sizeof(line)));
	print_pending(card->account, ledger);
	if (balance.next_expiry_day == DAY_MAX)
		return;
	const int64_t expiring = account_expiring(card->account, ledger, card->totals.day + EXPIRING_DAYS);
	civil_format(balance.next_expiry_day, date);
	if (expiring)
		printf("  %-12s %s expire in the next %d days, the first on %s\n", "", points_text(expiring, n),
		       EXPIRING_DAYS, date);
	else
		printf("  %-12s the next expire on %s\n", "", date);
}

/* An amount in the unit of the tiers' metric. */
static void print_metric(const struct programme *programme, int64_t value)
{
	char n[NUMBER_TEXT_MAX];
	switch (programme->tiers.metric) {
	case METRIC_SPEND:
		printf("%s %s", decimal_text(value, 2, 2, n), programme->currency);
		break;
	case METRIC_POINTS_EARNED:
		printf("%s %s", points_text(value, n),
		       programme->ledgers[0].unit ? programme->ledgers[0].unit : "points");
		break;
	case METRIC_VISITS:
		printf("%s %s", number_text((uint64_t)value, n), value == 1 ? "visit" : "visits");
		break;
	}
}

static void print_tier(const struct programme *programme, const struct account *account)
{
	const struct tier_rules *const tiers = &programme->tiers;
	struct account_tier tier;
	char date[11];
	if (tiers->n_levels == 0)
		return;
	account_tier(account, &tier);
	printf("  %-12s %s", "tier", tiers->levels[tier.level].name);
	if (tier.review_day != DAY_MAX) {
		civil_format(tier.review_day, date);
		printf(", reviewed on %s", date);
	}
	putchar('\n');
	if (tier.level + 1 < tiers->n_levels) {
		printf("  %-12s ", "");
		print_metric(programme, tier.to_next);
		printf(" more for %s\n", tiers->levels[tier.level + 1].name);
	}
}

static void print_rewards(const struct programme *programme, const struct account *account)
{
	const char *label = "rewards";
	for (unsigned i = 0; i < programme->n_rewards; i++) {
		const struct reward *const reward = &programme->rewards[i];
		const struct ledger_rules *const ledger = &programme->ledgers[reward->ledger];
		char n[NUMBER_TEXT_MAX];
		if (!account_can_redeem(account, reward->ledger, reward->cost_milli))
			continue;
		printf("  %-12s %s for %s %s\n", label, reward->id, points_text(reward->cost_milli, n),
		       ledger->unit ? ledger->unit : ledger->name);
		label = "";
	}
}

static void print_account(const struct programme *programme, const struct customer_card *card, const char *other)
{
	char n[NUMBER_TEXT_MAX];
	char line[3 * NUMBER_TEXT_MAX];
	char when[20];
	if (other)
		printf("  (by the programme before its last change (%s); the next collect makes it again)\n\n", other);
	if (card->marked)
		puts("  (being recomputed: something came too late to be counted at once. `punchcard collect --once` "
		     "or\n"
		     "  `punchcard refresh` counts it; until then this is without it)\n");
	for (unsigned i = 0; i < programme->n_ledgers; i++)
		print_ledger(programme, card, i);
	print_tier(programme, card->account);
	print_rewards(programme, card->account);
	snprintf(line, sizeof(line), "%s %s", decimal_text(card->totals.spend_minor, 2, 2, n), programme->currency);
	row_text("spent", line);
	row_text("orders", number_text((uint64_t)card->totals.orders, n));
	row_text("visits", number_text((uint64_t)card->totals.visits, n));
	if (card->totals.rejected)
		row_text("rejected", number_text((uint64_t)card->totals.rejected, n));
	if (card->totals.orders == 0)
		return;
	civil_format_time(programme->timezone, card->totals.first_us, when);
	row_text("first order", when);
	civil_format_time(programme->timezone, card->totals.last_us, when);
	row_text("last order", when);
}

static void print_orders(const struct programme *programme, const struct customer_card *card, size_t most)
{
	struct card_orders orders;
	char when[20];
	char n[NUMBER_TEXT_MAX];
	lookup_orders(card, most, &orders);
	for (size_t i = 0; i < orders.n; i++) {
		const struct fact *const order = orders.first[i];
		civil_format_time(programme->timezone, order->time_us, when);
		printf("  %-12s %s  %12s %s  ", i ? "" : "last orders", when, decimal_text(order->total_minor, 2, 2, n),
		       programme->currency);
		show_text(stdout, order->id);
		putchar('\n');
	}
	if (most == 0 || orders.n == most || orders.all)
		return;
	civil_format_time(programme->timezone, orders.since_us, when);
	printf("  %-12s (those from %s on; explain has all)\n", orders.n ? "" : "last orders", when);
}

static void print_card(const struct lookup *lookup, const struct customer_card *card, const char *id, size_t orders)
{
	const struct profile *const p = &card->profile;
	if (card->has_profile && p->name.len) {
		show_text(stdout, p->name);
		putchar('\n');
	} else {
		fputs("Customer ", stdout);
		show_text(stdout, slice_of(id));
		printf(" (%s)\n", card->has_profile ? "without a name" : "no customer file names them yet");
	}
	row_text("customer", id);
	row("card", p->card);
	row("email", p->email);
	row("member since", p->since);
	row("born", p->birth_date);
	putchar('\n');
	if (card->account) {
		print_account(lookup_programme(lookup), card, lookup_other_programme(lookup));
		print_orders(lookup_programme(lookup), card, orders);
	} else
		puts("  no orders yet");
}

static void json_slice_or_null(struct json *out, const char *key, struct slice value)
{
	json_key(out, key);
	if (value.len)
		json_slice(out, value);
	else
		json_null(out);
}

static void key_known_time(struct json *out, const char *key, bool known, int64_t time_us)
{
	json_key(out, key);
	if (known)
		json_time(out, time_us);
	else
		json_null(out);
}

static void json_pending(struct json *out, const struct account *account, unsigned ledger)
{
	struct card_pending next = {.day = DAY_MIN};
	json_key(out, "spendable_from");
	json_array(out);
	while (lookup_pending(account, ledger, next.day, &next)) {
		json_object(out);
		key_day(out, "day", next.day);
		key_points(out, "points", next.points_milli);
		json_end_object(out);
	}
	json_end_array(out);
}

static void json_ledgers(struct json *out, const struct programme *programme, const struct customer_card *card)
{
	json_key(out, "ledgers");
	json_array(out);
	for (unsigned i = 0; card->account && i < programme->n_ledgers; i++) {
		struct account_balance b;
		account_balance(card->account, i, &b);
		json_object(out);
		json_key(out, "ledger");
		json_text(out, programme->ledgers[i].name);
		json_key(out, "unit");
		json_text(out, programme->ledgers[i].unit);
		key_points(out, "balance", b.balance_milli);
		key_points(out, "pending", b.pending_milli);
		json_pending(out, card->account, i);
		key_points(out, "debt", b.debt_milli);
		key_points(out, "issued", b.issued_milli);
		key_points(out, "reversed", b.reversed_milli);
		key_points(out, "redeemed", b.redeemed_milli);
		key_points(out, "expired", b.expired_milli);
		key_points(out, "expiring_30d", account_expiring(card->account, i, card->totals.day + EXPIRING_DAYS));
		key_day(out, "next_expiry", b.next_expiry_day);
		json_end_object(out);
	}
	json_end_array(out);
}

static void key_metric(struct json *out, const char *key, const struct programme *programme, int64_t value)
{
	static const unsigned SCALES[] = {[METRIC_SPEND] = 2, [METRIC_POINTS_EARNED] = 3, [METRIC_VISITS] = 0};
	json_key(out, key);
	json_decimal(out, value, SCALES[programme->tiers.metric]);
}

static void json_tier(struct json *out, const struct programme *programme, const struct account *account)
{
	static const char *const METRICS[] = {
		[METRIC_SPEND] = "spend", [METRIC_POINTS_EARNED] = "points_earned", [METRIC_VISITS] = "visits"};
	const struct tier_rules *const tiers = &programme->tiers;
	struct account_tier tier;
	json_key(out, "tier");
	if (!account || tiers->n_levels == 0) {
		json_null(out);
		return;
	}
	account_tier(account, &tier);
	const bool top = tier.level + 1 == tiers->n_levels;
	json_object(out);
	json_key(out, "level");
	json_text(out, tiers->levels[tier.level].name);
	key_day(out, "review", tier.review_day);
	json_key(out, "by");
	json_text(out, METRICS[tiers->metric]);
	key_metric(out, "reached", programme, tier.metric);
	json_key(out, "next");
	json_text(out, top ? NULL : tiers->levels[tier.level + 1].name);
	key_metric(out, "to_next", programme, tier.to_next);
	json_end_object(out);
}

static void json_rewards(struct json *out, const struct programme *programme, const struct account *account)
{
	json_key(out, "rewards");
	json_array(out);
	for (unsigned i = 0; account && i < programme->n_rewards; i++) {
		const struct reward *const reward = &programme->rewards[i];
		if (!account_can_redeem(account, reward->ledger, reward->cost_milli))
			continue;
		json_object(out);
		json_key(out, "reward");
		json_text(out, reward->id);
		json_key(out, "ledger");
		json_text(out, programme->ledgers[reward->ledger].name);
		key_points(out, "cost", reward->cost_milli);
		json_end_object(out);
	}
	json_end_array(out);
}

static void json_account(struct json *out, const struct lookup *lookup, const struct customer_card *card)
{
	const struct programme *const programme = lookup_programme(lookup);
	const char *const other = lookup_other_programme(lookup);
	struct account_balance first = {0};
	if (card->account)
		account_balance(card->account, 0, &first);
	key_int(out, "orders", card->totals.orders);
	key_int(out, "visits", card->totals.visits);
	json_key(out, "spend");
	json_decimal(out, card->totals.spend_minor, 2);
	key_points(out, "points", first.balance_milli);
	key_points(out, "points_earned", first.issued_milli - first.reversed_milli);
	key_known_time(out, "first_order", card->totals.orders, card->totals.first_us);
	key_known_time(out, "last_order", card->totals.orders, card->totals.last_us);
	key_int(out, "events", card->totals.events);
	key_int(out, "rejected", card->totals.rejected);
	key_day(out, "as_of", card->account ? card->totals.day : DAY_MIN);
	json_key(out, "being_recomputed");
	json_bool(out, card->marked || (other && card->account));
	json_key(out, "programme");
	json_text(out, other ? other : programme->hash_text);
	json_ledgers(out, programme, card);
	json_tier(out, programme, card->account);
	json_rewards(out, programme, card->account);
}

static void json_orders(struct json *out, const struct customer_card *card, size_t most)
{
	struct card_orders orders;
	lookup_orders(card, most, &orders);
	json_key(out, "last_orders");
	json_array(out);
	for (size_t i = 0; i < orders.n; i++) {
		json_object(out);
		json_key(out, "event_id");
		json_slice(out, orders.first[i]->id);
		key_known_time(out, "time", true, orders.first[i]->time_us);
		json_key(out, "amount");
		json_decimal(out, orders.first[i]->total_minor, 2);
		json_end_object(out);
	}
	json_end_array(out);
	key_known_time(out, "last_orders_since", !orders.all && orders.n < most, orders.since_us);
}

static int print_json(const struct lookup *lookup, const struct customer_card *card, size_t orders)
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
	json_account(&out, lookup, card);
	json_orders(&out, card, orders);
	json_end_object(&out);
	json_newline(&out);
	struct error err = {0};
	return json_finish(&out, &err) < 0 ? cli_fail(&err) : EXIT_OK;
}

static int run(const struct cli *cli, int argc, char **argv)
{
	bool as_json = false;
	int64_t orders = ORDERS_SHOWN;
	int option;
	opterr = 0;
	while ((option = getopt_long(argc, argv, ":", OPTIONS, NULL)) != -1) {
		if (option == OPTION_JSON)
			as_json = true;
		else if (option == ':')
			return cli_usage_error("customer", "%s needs a number", argv[optind - 1]);
		else if (option != OPTION_ORDERS)
			return cli_usage_error("customer", "unknown option '%s'", argv[optind - 1]);
		else if (integer_parse(optarg, strlen(optarg), &orders) < 0 || orders < 0 || orders > CARD_ORDERS_MOST)
			return cli_usage_error("customer", "--orders %s: expected a number, 0 to %u", optarg,
					       CARD_ORDERS_MOST);
	}
	if (optind + 1 != argc)
		return cli_usage_error("customer", "which customer? One id, as in `punchcard customer 558`");
	struct error err = {0};
	struct deployment *deployment = NULL;
	struct lookup *lookup = NULL;
	struct customer_card card = {0};
	int rc = deployment_open(cli->dir, DEPLOYMENT_READ, "customer", &deployment, &err);
	if (rc == 0)
		rc = lookup_open(deployment, clock_now_us(), &lookup, &err);
	if (rc == 0)
		rc = lookup_customer(lookup, argv[optind], &card, &err);
	int code = EXIT_OK;
	if (rc < 0)
		code = cli_fail(&err);
	else if (as_json)
		code = print_json(lookup, &card, (size_t)orders);
	else
		print_card(lookup, &card, argv[optind], (size_t)orders);
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
