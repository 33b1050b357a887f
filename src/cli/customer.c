#include "base/buf.h"
#include "base/clock.h"
#include "base/decimal.h"
#include "cli/command.h"
#include "cli/customer_show.h"
#include "cli/reader.h"
#include "cli/show.h"

#include <errno.h>
#include <getopt.h>
#include <stdlib.h>
#include <string.h>

static const char USAGE[] =
	"usage: punchcard [-C DIR] customer ID... [--orders N] [--items] [--json]\n"
	"       punchcard [-C DIR] customer --stdin [--orders N] [--items] [--json]\n"
	"\n"
	"Shows a customer's card: who they are, what they spent, the points they have in each ledger, what of them is "
	"not\n"
	"spendable yet or expires soon, their tier, and the rewards that they could have now. Times are local ones of "
	"the\n"
	"programme's timezone; with --json they are UTC, and each card is a line. After programme.yaml was changed the "
	"card is\n"
	"by the one of before until the next collect (on a cluster: refresh), and says so.\n"
	"\n"
	"Several ids give their cards in this order; --stdin reads them, one a line. Who is not known is told on "
	"standard\n"
	"error, and the others are shown.\n"
	"\n"
	"Of the last orders, --orders N shows so many (5, at most 64) with time, amount and id, of those that the "
	"account still\n"
	"has one by one, which are the last days'; where it has fewer, it says from when on. On a cluster all are "
	"there. --items\n"
	"shows what was in them, by a look into the tables (on a cluster: the history) for each customer: slower than "
	"the card\n"
	"alone, which is made for the till. What they earned, explain shows.\n"
	"\n"
	"On a cluster cards come from HBase, many with a request. It does not answer: an error after some seconds.\n"
	"\n"
	"exit codes: 0 found; 1 there is no such customer, or it could not be read; 2 usage or configuration\n";

enum { OPTION_JSON = 256, OPTION_ORDERS, OPTION_STDIN, OPTION_ITEMS };

/* Days with pending points that people are shown one by one. */
#define PENDING_MAX  10u
#define ORDERS_SHOWN 5u
/* Ids of one run, and their bytes: some millions. */
#define IDS_BYTES (256u << 20)

static const struct option OPTIONS[] = {
	{"json", no_argument, NULL, OPTION_JSON},
	{"orders", required_argument, NULL, OPTION_ORDERS},
	{"stdin", no_argument, NULL, OPTION_STDIN},
	{"items", no_argument, NULL, OPTION_ITEMS},
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

static void print_account(const struct programme *programme, const struct customer_card *card, const char *other,
			  const char *maker, bool on_cluster)
{
	char n[NUMBER_TEXT_MAX];
	char line[3 * NUMBER_TEXT_MAX];
	char when[20];
	if (other)
		printf("  (by the programme before its last change (%s); %s)\n\n", other, maker);
	if (card->marked && on_cluster)
		puts("  (being recomputed: something came too late to be counted at once. `punchcard refresh` counts "
		     "it; until\n"
		     "  then this is without it)\n");
	else if (card->marked)
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

static void print_items(const struct programme *programme, const struct card_items *items, size_t order)
{
	const struct card_line *lines;
	char n[NUMBER_TEXT_MAX];
	const size_t n_lines = card_items_of(items, order, &lines);
	for (size_t i = 0; i < n_lines; i++) {
		const struct slice what = lines[i].menu.len ? lines[i].menu : lines[i].sku;
		printf("  %-12s %19s  %12s %s  ", "", "", decimal_text(lines[i].amount_minor, 2, 2, n),
		       programme->currency);
		printf("  %s x ", points_text(lines[i].qty_milli, n));
		show_text(stdout, what.len ? what : SLICE("?"));
		putchar('\n');
	}
}

static void print_orders(const struct programme *programme, const struct customer_orders *shown)
{
	const struct card_orders *const orders = &shown->orders;
	char when[20];
	char n[NUMBER_TEXT_MAX];
	for (size_t i = 0; i < orders->n; i++) {
		const struct fact *const order = orders->first[i];
		civil_format_time(programme->timezone, order->time_us, when);
		printf("  %-12s %s  %12s %s  ", i ? "" : "last orders", when, decimal_text(order->total_minor, 2, 2, n),
		       programme->currency);
		show_text(stdout, order->id);
		putchar('\n');
		if (shown->items)
			print_items(programme, shown->items, i);
	}
	if (shown->most == 0 || orders->n == shown->most || orders->all)
		return;
	civil_format_time(programme->timezone, orders->since_us, when);
	printf("  %-12s (those from %s on; explain has all)\n", orders->n ? "" : "last orders", when);
}

static void print_card(const struct lookup *lookup, const struct customer_card *card, const char *id,
		       const struct customer_orders *shown, const char *maker, bool on_cluster)
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
		print_account(lookup_programme(lookup), card, lookup_other_programme(lookup), maker, on_cluster);
		print_orders(lookup_programme(lookup), shown);
	} else
		puts("  no orders yet");
}

/* Who makes accounts again that another programme made. */
static const char *maker_of(const struct deployment *deployment)
{
	struct deployment_holder holder;
	if (deployment->config->cluster.on)
		return "the next refresh makes it again";
	if (!deployment_holder(deployment, DEPLOYMENT_COLLECT, &holder))
		return "the next collect makes it again";
	return strcmp(holder.command, "run") == 0 ? "the daemon is making it again" : "collect is making it again";
}

struct showing {
	const struct lookup *lookup;
	size_t orders;
	bool with_items;
	struct card_items *items; /* NULL: not asked for */
	bool as_json;
	const char *maker; /* who makes an account again that another programme made */
	bool on_cluster;
	bool several; /* cards have an empty line between them */
	int code;
};

static int show(void *context, const char *id, const struct customer_card *card, const struct error *why,
		struct error *err)
{
	struct showing *const showing = context;
	if (!card) {
		showing->code = cli_fail(why);
		return 0;
	}
	struct customer_orders shown = {.most = showing->orders, .items = showing->items};
	lookup_orders(card, shown.most, &shown.orders);
	const int rc = showing->items ? card_items_read(showing->items, card, &shown.orders, err) : 0;
	if (rc < 0)
		return rc;
	if (showing->as_json)
		return customer_print_json(showing->lookup, card, &shown, err);
	if (showing->several)
		putchar('\n');
	print_card(showing->lookup, card, id, &shown, showing->maker, showing->on_cluster);
	showing->several = true;
	return 0;
}

/* Of lines, each without its end; they are of `text`. */
static int read_ids(struct buf *text, const char ***out, size_t *n, struct error *err)
{
	size_t cap = 0;
	size_t count = 0;
	const char **ids = NULL;
	char *line = NULL;
	size_t size = 0;
	ssize_t len;
	errno = 0;
	while ((len = getline(&line, &size, stdin)) > 0) {
		len -= line[len - 1] == '\n';
		len -= len && line[len - 1] == '\r';
		if (len == 0)
			continue;
		if (text->len + (size_t)len > IDS_BYTES || memchr(line, '\0', (size_t)len)) {
			free(line);
			return error_set(err, ERROR_INPUT, "standard input has more than %u MiB of ids, or a NUL",
					 IDS_BYTES >> 20);
		}
		if (buf_append(text, line, (size_t)len) < 0 || buf_append(text, "", 1) < 0) {
			free(line);
			return error_no_memory(err, text->len);
		}
		count++;
	}
	free(line);
	if (ferror(stdin))
		return error_errno(err, errno, "cannot read standard input");
	cap = count ? count : 1;
	ids = malloc(cap * sizeof(*ids));
	if (!ids)
		return error_no_memory(err, cap * sizeof(*ids));
	const char *at = text->data;
	for (size_t i = 0; i < count; i++, at += strlen(at) + 1)
		ids[i] = at;
	*out = ids;
	*n = count;
	return 0;
}

static int show_customers(const struct cli *cli, const char *const *ids, size_t n, struct showing *showing)
{
	struct error err = {0};
	struct deployment *deployment = NULL;
	struct lookup *lookup = NULL;
	int rc = reader_open(cli, "customer", &deployment, &err);
	if (rc == 0)
		rc = lookup_open(deployment, clock_now_us(), &lookup, &err);
	if (rc == 0 && showing->with_items)
		rc = card_items_open(lookup, &showing->items, &err);
	if (rc == 0) {
		showing->lookup = lookup;
		showing->on_cluster = deployment->config->cluster.on;
		showing->maker = maker_of(deployment);
		rc = lookup_customers(lookup, ids, n, showing->orders, show, showing, &err);
	}
	if (rc < 0)
		showing->code = cli_fail(&err);
	card_items_close(showing->items);
	lookup_close(lookup);
	deployment_close(deployment);
	return showing->code;
}

static int run(const struct cli *cli, int argc, char **argv)
{
	struct showing showing = {.orders = ORDERS_SHOWN};
	bool reads_ids = false;
	int64_t orders;
	int option;
	opterr = 0;
	while ((option = getopt_long(argc, argv, ":", OPTIONS, NULL)) != -1) {
		if (option == OPTION_JSON)
			showing.as_json = true;
		else if (option == OPTION_STDIN)
			reads_ids = true;
		else if (option == OPTION_ITEMS)
			showing.with_items = true;
		else if (option == ':')
			return cli_usage_error("customer", "%s needs a number", argv[optind - 1]);
		else if (option != OPTION_ORDERS)
			return cli_usage_error("customer", "unknown option '%s'", argv[optind - 1]);
		else if (integer_parse(optarg, strlen(optarg), &orders) < 0 || orders < 0 || orders > CARD_ORDERS_MOST)
			return cli_usage_error("customer", "--orders %s: expected a number, 0 to %u", optarg,
					       CARD_ORDERS_MOST);
		else
			showing.orders = (size_t)orders;
	}
	if (!reads_ids && optind == argc)
		return cli_usage_error("customer", "which customer? An id, as in `punchcard customer 558`");
	if (reads_ids && optind < argc)
		return cli_usage_error("customer", "--stdin reads the ids: name none");
	if (!reads_ids)
		return show_customers(cli, (const char *const *)argv + optind, (size_t)(argc - optind), &showing);
	_cleanup_buf_ struct buf text = {0};
	const char **ids = NULL;
	size_t n = 0;
	struct error err = {0};
	if (read_ids(&text, &ids, &n, &err) < 0)
		return cli_fail(&err);
	const int code = show_customers(cli, ids, n, &showing);
	free(ids);
	return code;
}

const struct command command_customer = {
	.name = "customer",
	.summary = "show customers' cards",
	.usage = USAGE,
	.run = run,
};
