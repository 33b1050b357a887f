/* What holds of every history, whatever the programme says. */
#include "plan.h"

#include "../unit/loyalty/random_history.h"

#define ARRIVALS_MAX (2 * PLAN_EVENTS)
#define SOON_DAYS    30

bool properties_with_a_wrong_one;

struct check {
	struct subject s;
	struct random r;
	/* The fold of all events: entries, how many there were behind event i, and the state. */
	struct account *whole;
	struct postings all;
	size_t behind[PLAN_EVENTS];
	/* What a property needs besides. */
	struct account *other;
	struct account *third;
	struct postings some;
	struct record *record;
	struct buf x;
	struct buf y;
};

static char reason[200];

/* False, with the reason why. */
#define differs(...) (snprintf(reason, sizeof(reason), __VA_ARGS__), false)

static void need(int rc)
{
	assert_int_equal(rc, 0);
}

/* --- comparing ------------------------------------------------------------------------------------------------------------ */

static bool same_entry(const struct posting *a, const struct posting *b)
{
	return a->time_us == b->time_us && slice_equal(a->event_id, b->event_id) && a->kind == b->kind &&
	       a->ledger == b->ledger && a->number == b->number && a->points_milli == b->points_milli &&
	       a->balance_milli == b->balance_milli && a->day == b->day && a->lot == b->lot && a->rules == b->rules &&
	       a->promotions == b->promotions && a->tier == b->tier && a->tier_after == b->tier_after &&
	       a->reject == b->reject;
}

/* Whether `some` is what follows the first n entries of all. */
static bool same_entries(const struct check *c, size_t n, const char *what)
{
	if (c->some.n != c->all.n - n)
		return differs("%s: %zu entries behind the first %zu, not %zu", what, c->some.n, n, c->all.n - n);
	for (size_t i = 0; i < c->some.n; i++)
		if (!same_entry(&c->some.items[i], &c->all.items[n + i]))
			return differs("%s: entry %zu is another", what, n + i + 1);
	return true;
}

static bool same_bytes(const struct buf *a, const struct buf *b)
{
	return a->len == b->len && (a->len == 0 || memcmp(a->data, b->data, a->len) == 0);
}

static bool same_state(struct check *c, const struct account *a, const struct account *b, const char *what)
{
	buf_clear(&c->x);
	buf_clear(&c->y);
	need(account_encode(a, &c->x));
	need(account_encode(b, &c->y));
	return same_bytes(&c->x, &c->y) || differs("%s: the states differ", what);
}

static void fold(struct check *c, size_t from, size_t to, struct account *account, struct postings *postings)
{
	for (size_t i = from; i < to; i++)
		need(account_apply(account, &c->s.facts[i], postings));
}

static void read_back(const struct buf *bytes, struct account *account)
{
	struct error err = {0};
	if (account_decode((struct slice){bytes->data, bytes->len}, account, &err) < 0)
		fail_msg("%s", err.message);
}

/* --- at every moment ------------------------------------------------------------------------------------------------------ */

static bool lots_are_right(const struct account *account, unsigned ledger, int32_t day, int64_t *lots_milli)
{
	struct account_lot before = {0};
	const unsigned n = account_lots(account, ledger);
	*lots_milli = 0;
	for (unsigned i = 0; i < n; i++) {
		struct account_lot lot;
		account_lot(account, ledger, i, &lot);
		const bool pending = lot.available != DAY_MIN;
		const bool first = i == 0 || pending != (before.available != DAY_MIN);
		if (lot.remaining_milli <= 0)
			return differs("ledger %u: lot %u holds %lld", ledger, i, (long long)lot.remaining_milli);
		if (lot.expires <= day || (pending && lot.available <= day))
			return differs("ledger %u: lot %u was due", ledger, i);
		if (!first && (lot.expires < before.expires ||
			       (lot.expires == before.expires && lot.available <= before.available)))
			return differs("ledger %u: lot %u is out of order", ledger, i);
		*lots_milli += lot.remaining_milli;
		before = lot;
	}
	return true;
}

static bool expiry_is_foretold(const struct account *account, unsigned ledger, int32_t day)
{
	struct account_balance b;
	account_balance(account, ledger, &b);
	int32_t next = DAY_MAX;
	int64_t soon_milli = 0;
	for (unsigned i = account_lots(account, ledger); i-- > 0;) {
		struct account_lot lot;
		account_lot(account, ledger, i, &lot);
		next = lot.expires < next ? lot.expires : next;
		soon_milli += lot.expires <= day + SOON_DAYS ? lot.remaining_milli : 0;
	}
	if (b.next_expiry_day != next)
		return differs("ledger %u: the next expiry is another", ledger);
	if (account_expiring(account, ledger, day + SOON_DAYS) != soon_milli)
		return differs("ledger %u: %lld expires soon", ledger, (long long)soon_milli);
	return true;
}

/* `sums`: of the entries so far, by ledger. */
static bool balances_are_right(const struct check *c, const struct account *account, const int64_t *sums)
{
	struct account_totals t;
	account_totals(account, &t);
	for (unsigned i = 0; i < c->s.programme->n_ledgers; i++) {
		struct account_balance b;
		int64_t lots;
		account_balance(account, i, &b);
		if (!lots_are_right(account, i, t.day, &lots))
			return false;
		if (b.debt_milli < 0 || (b.debt_milli && lots))
			return differs("ledger %u: debt of %lld beside lots of %lld", i, (long long)b.debt_milli,
				       (long long)lots);
		if (b.debt_milli && c->s.programme->ledgers[i].negative == NEGATIVE_FORGIVE)
			return differs("ledger %u: debt, which it forgives", i);
		if (b.issued_milli - b.reversed_milli != lots + b.redeemed_milli + b.expired_milli - b.debt_milli)
			return differs("ledger %u: issued - reversed is not lots + redeemed + expired - debt", i);
		if (b.balance_milli + b.pending_milli != lots - b.debt_milli || lots - b.debt_milli != sums[i])
			return differs("ledger %u: the entries come to %lld, lots less debt to %lld", i,
				       (long long)sums[i], (long long)(lots - b.debt_milli));
		if (!expiry_is_foretold(account, i, t.day))
			return false;
	}
	return true;
}

static bool entry_is_right(const struct check *c, size_t i, int64_t *sums)
{
	const struct posting *const p = &c->all.items[i];
	const struct posting *const before = i ? p - 1 : NULL;
	if (p->number != (int64_t)i + 1)
		return differs("entry %zu has number %lld", i + 1, (long long)p->number);
	sums[p->ledger] += p->points_milli;
	if (p->balance_milli != sums[p->ledger])
		return differs("entry %zu: balance %lld, the sum is %lld", i + 1, (long long)p->balance_milli,
			       (long long)sums[p->ledger]);
	/* Where clocks are set back over midnight, a day may start before the last event of the one before. */
	if (before && before->time_us > p->time_us && before->day >= p->day)
		return differs("entry %zu is before the one before", i + 1);
	if (p->tier != (before ? before->tier_after : 0) || (p->kind == POSTING_TIER) != (p->tier != p->tier_after))
		return differs("entry %zu: from tier %u to %u", i + 1, p->tier, p->tier_after);
	if ((p->kind == POSTING_REJECT) != (p->reject != REJECT_NONE))
		return differs("entry %zu: a reason, and no rejection", i + 1);
	/* The start of its day; of a day that clocks skip, the first instant behind it. */
	const bool timed = p->kind == POSTING_EXPIRE || (p->kind == POSTING_TIER && p->event_id.len == 0);
	if (timed && (tz_local_day(c->s.programme->timezone, p->time_us) < p->day ||
		      tz_local_day(c->s.programme->timezone, p->time_us - 1) >= p->day))
		return differs("entry %zu: its instant is not the start of its day", i + 1);
	return true;
}

static bool every_entry_adds_up(struct check *c)
{
	int64_t sums[PROGRAMME_LEDGERS_MAX] = {0};
	size_t seen = 0;
	for (size_t i = 0; i < c->s.n; i++) {
		const size_t before = c->all.n;
		need(account_apply(c->whole, &c->s.facts[i], &c->all));
		c->behind[i] = c->all.n;
		if (c->all.n == before || !slice_equal(c->all.items[c->all.n - 1].event_id, c->s.facts[i].id))
			return differs("event %zu leaves no entry", i + 1);
		for (; seen < c->all.n; seen++)
			if (!entry_is_right(c, seen, sums))
				return false;
		if (!balances_are_right(c, c->whole, sums))
			return false;
	}
	struct account_totals t;
	account_totals(c->whole, &t);
	return (t.events == (int64_t)c->s.n && t.postings == (int64_t)c->all.n) ||
	       differs("%lld events and %lld entries are counted", (long long)t.events, (long long)t.postings);
}

/* --- one history, told otherwise ------------------------------------------------------------------------------------------ */

/* By another prepared programme, in a used account, and without entries. */
static bool again_is_the_same(struct check *c)
{
	fold(c, 0, c->s.n, c->other, NULL);
	if (!same_state(c, c->whole, c->other, "without entries"))
		return false;
	account_reset(c->other);
	fold(c, 0, c->s.n, c->other, &c->some);
	return same_entries(c, 0, "again") && same_state(c, c->whole, c->other, "again");
}

static bool same_rules_are_the_same(struct check *c, const struct plan *plan)
{
	struct programme *const twin = plan_programme(plan);
	struct account *const account = account_new(twin);
	assert_non_null(account);
	fold(c, 0, c->s.n, account, &c->some);
	const bool good = (twin->hash == c->s.programme->hash || differs("the programme has another hash")) &&
			  same_entries(c, 0, "the programme made again") &&
			  same_state(c, c->whole, account, "the programme made again");
	account_free(account);
	plan_programme_free(twin);
	return good;
}

/* Whether a refund behind `cut` names an order before it. */
static bool refund_crosses(const struct check *c, size_t cut)
{
	for (size_t i = cut; i < c->s.n; i++)
		for (size_t order = i; c->s.facts[i].kind == EVENT_REFUND && order-- > 0;)
			if (c->s.facts[order].kind == EVENT_ORDER &&
			    fact_id_hash(c->s.facts[order].id) == c->s.facts[i].order_hash) {
				if (order < cut)
					return true;
				break;
			}
	return false;
}

static bool a_stored_state_goes_on(struct check *c)
{
	const size_t cut = (size_t)pick(&c->r, 0, (int32_t)c->s.n);
	const size_t n = cut ? c->behind[cut - 1] : 0;
	fold(c, 0, cut, c->other, NULL);
	/* Over what was there before. */
	fold(c, 0, c->s.n, c->third, NULL);
	need(account_copy(c->third, c->other));
	fold(c, cut, c->s.n, c->third, &c->some);
	if (!same_entries(c, n, "a copy goes on") || !same_state(c, c->whole, c->third, "a copy goes on"))
		return false;
	if (refund_crosses(c, cut))
		return true;
	buf_clear(&c->x);
	need(account_encode(c->other, &c->x));
	read_back(&c->x, c->third);
	if (!same_state(c, c->other, c->third, "stored and read"))
		return false;
	postings_clear(&c->some);
	fold(c, cut, c->s.n, c->third, &c->some);
	return same_entries(c, n, "stored, read and going on") &&
	       same_state(c, c->whole, c->third, "stored, read and going on");
}

/* Whether somebody looks every day or only at the end: expiries and reviews do not depend on it. */
static bool time_passes_alike(struct check *c)
{
	const int32_t last = c->s.facts[c->s.n - 1].day + pick(&c->r, 0, 400);
	need(account_advance(c->whole, last, &c->all));
	need(account_advance(c->whole, last - 1, &c->all));
	size_t at = 0;
	for (int32_t day = c->s.facts[0].day - 2; day <= last; day++) {
		need(account_advance(c->other, day, &c->some));
		for (; at < c->s.n && c->s.facts[at].day <= day; at++)
			need(account_apply(c->other, &c->s.facts[at], &c->some));
	}
	return same_entries(c, 0, "day by day") && same_state(c, c->whole, c->other, "day by day");
}

/* The state as of the end of a day is that of the events up to it. */
static bool later_events_do_not_matter(struct check *c)
{
	const size_t cut = (size_t)pick(&c->r, 0, (int32_t)c->s.n - 1);
	const int32_t day = c->s.facts[cut].day;
	int32_t reached = DAY_MIN;
	size_t n = 0;
	for (; n < c->s.n; n++) {
		reached = c->s.facts[n].day > reached ? c->s.facts[n].day : reached;
		if (reached > day)
			break;
	}
	fold(c, 0, n, c->other, &c->some);
	need(account_advance(c->other, day, &c->some));
	if (c->some.n > c->all.n)
		return differs("as of a day: %zu entries, in the end %zu", c->some.n, c->all.n);
	for (size_t i = 0; i < c->some.n; i++)
		if (!same_entry(&c->some.items[i], &c->all.items[i]))
			return differs("as of a day: entry %zu changes later", i + 1);
	if (c->some.n < c->all.n && n < c->s.n && c->all.items[c->some.n].day <= day &&
	    c->all.items[c->some.n].event_id.len == 0)
		return differs("as of a day: entry %zu falls due on it, and comes later", c->some.n + 1);
	return true;
}

/* --- refunds -------------------------------------------------------------------------------------------------------------- */

struct part {
	int64_t total_minor;
	int64_t eligible_minor;
};

/* A part of what is left: by lines, or by amount, all of which counts as eligible; and lines may name items that were not in the
 * order, with any part eligible. */
static struct part draw_part(struct random *r, struct part *left)
{
	const int64_t other_left = left->total_minor - left->eligible_minor;
	const bool all = one_in(r, 3);
	const int64_t eligible = all ? left->eligible_minor : pick(r, 0, (int32_t)left->eligible_minor);
	const int64_t other = all ? other_left : pick(r, 0, (int32_t)other_left);
	left->total_minor -= eligible + other;
	left->eligible_minor -= eligible;
	const int64_t total = eligible + other;
	if (one_in(r, 4))
		return (struct part){total, pick(r, 0, (int32_t)total)};
	return (struct part){total, one_in(r, 2) ? eligible : total};
}

static struct fact behind(const struct check *c, enum event_kind kind, const char *id, int64_t time_us)
{
	return make_fact(c->s.programme, kind, id, time_us);
}

/* An order behind all others, and its refunds, which come to all of it. */
static bool any_parts_reverse_all(struct check *c)
{
	int64_t time_us = c->s.facts[c->s.n - 1].time_us + 1;
	struct account_balance before[PROGRAMME_LEDGERS_MAX];
	struct account_balance earned[PROGRAMME_LEDGERS_MAX];
	struct account_totals t_before;
	struct account_totals t_behind;
	const unsigned n_ledgers = c->s.programme->n_ledgers;
	account_totals(c->whole, &t_before);
	for (unsigned i = 0; i < n_ledgers; i++)
		account_balance(c->whole, i, &before[i]);
	struct fact order = behind(c, EVENT_ORDER, "whole", time_us);
	order.total_minor = pick(&c->r, 0, 5000);
	order.eligible_minor = one_in(&c->r, 2) ? order.total_minor : pick(&c->r, 0, (int32_t)order.total_minor);
	if (one_in(&c->r, 2))
		order.items[pick(&c->r, 0, (int32_t)n_ledgers - 1)] = pick(&c->r, 1, 9000) * INT64_C(1000);
	need(account_apply(c->whole, &order, NULL));
	for (unsigned i = 0; i < n_ledgers; i++)
		account_balance(c->whole, i, &earned[i]);

	struct part left = {order.total_minor, order.eligible_minor};
	while (left.total_minor) {
		const struct part part = draw_part(&c->r, &left);
		time_us += one_in(&c->r, 2) ? 1 : pick(&c->r, 1, 60) * DAY_US;
		struct fact fact = behind(c, EVENT_REFUND, "part", time_us);
		fact.order_hash = fact_id_hash(order.id);
		fact.total_minor = part.total_minor;
		fact.eligible_minor = part.eligible_minor;
		need(account_apply(c->whole, &fact, &c->some));
		if (c->some.items[c->some.n - 1].kind == POSTING_REJECT)
			return differs("a refund of %lld is rejected", (long long)part.total_minor);
		if (one_in(&c->r, 4)) {
			struct fact spent = behind(c, EVENT_REDEEM, "spent", time_us);
			spent.ledger = (uint8_t)pick(&c->r, 0, (int32_t)n_ledgers - 1);
			spent.points_milli = pick(&c->r, 1, 9000);
			need(account_apply(c->whole, &spent, NULL));
		}
	}
	for (unsigned i = 0; i < n_ledgers; i++) {
		struct account_balance end;
		account_balance(c->whole, i, &end);
		const int64_t p = earned[i].issued_milli - before[i].issued_milli;
		const int64_t reversed = end.reversed_milli - earned[i].reversed_milli;
		const bool forgives = c->s.programme->ledgers[i].negative == NEGATIVE_FORGIVE;
		/* What there was nothing for is dropped; of a free order nothing can come back. */
		if (order.total_minor == 0 ? reversed != 0 : forgives ? reversed > p : reversed != p)
			return differs("ledger %u: earned %lld, reversed %lld", i, (long long)p, (long long)reversed);
	}
	account_totals(c->whole, &t_behind);
	if (t_behind.spend_minor != t_before.spend_minor)
		return differs("spend is %lld, was %lld", (long long)t_behind.spend_minor,
			       (long long)t_before.spend_minor);
	struct fact more = behind(c, EVENT_REFUND, "more", time_us + 1);
	more.order_hash = fact_id_hash(order.id);
	more.total_minor = more.eligible_minor = 1;
	need(account_apply(c->whole, &more, &c->some));
	return c->some.items[c->some.n - 1].reject == REJECT_OVER_REFUND || differs("more than all is refunded");
}

/* --- records -------------------------------------------------------------------------------------------------------------- */

static void encode_record(const struct record *record, struct buf *out)
{
	buf_clear(out);
	need(record_encode(record, out));
}

static void read_record(struct check *c, const struct buf *bytes)
{
	struct error err = {0};
	if (record_decode(c->record, (struct slice){bytes->data, bytes->len}, &err) < 0)
		fail_msg("%s", err.message);
}

/* A part of the events twice; as they happened, nearly so, or thoroughly mixed. */
static size_t draw_arrivals(struct check *c, size_t order[ARRIVALS_MAX])
{
	size_t n = 0;
	for (size_t i = 0; i < c->s.n; i++) {
		order[n++] = i;
		if (one_in(&c->r, 5))
			order[n++] = i;
	}
	const size_t reach = one_in(&c->r, 3) ? n : (size_t)pick(&c->r, 1, 4);
	for (size_t i = 0; i < n; i++) {
		const size_t other = i + (size_t)random_below(&c->r, n - i < reach ? n - i : reach);
		const size_t swapped = order[i];
		order[i] = order[other];
		order[other] = swapped;
	}
	return n;
}

/* `settles`: not only at the end, but at any time, with storing and reading. */
static void arrive(struct check *c, bool settles)
{
	size_t order[ARRIVALS_MAX];
	const size_t n = draw_arrivals(c, order);
	record_reset(c->record);
	for (size_t i = 0; i < n; i++) {
		enum record_added added;
		need(record_add(c->record, &c->s.facts[order[i]], &added));
		if (!settles)
			continue;
		if (one_in(&c->r, 3))
			need(record_settle(c->record));
		if (one_in(&c->r, 4)) {
			encode_record(c->record, &c->y);
			read_record(c, &c->y);
		}
	}
	need(record_settle(c->record));
}

static bool arrival_does_not_matter(struct check *c)
{
	need(record_of_history(c->record, c->s.facts, c->s.n));
	if (record_is_marked(c->record))
		return differs("the record of a whole history is marked");
	encode_record(c->record, &c->x);
	for (unsigned times = 0; times < 3; times++) {
		arrive(c, times > 0);
		if (record_is_marked(c->record)) {
			if (times == 0)
				return differs("marked, though nothing was settled before the end");
			/* As the batch layer makes it again. */
			need(record_of_history(c->record, c->s.facts, c->s.n));
		}
		encode_record(c->record, &c->y);
		if (!same_bytes(&c->x, &c->y))
			return differs("another order of arrival, other bytes (%zu and %zu)", c->x.len, c->y.len);
	}
	return true;
}

static bool a_record_folds_to_the_account(struct check *c)
{
	need(record_of_history(c->record, c->s.facts, c->s.n));
	/* As it was made, or stored and read. */
	if (one_in(&c->r, 2)) {
		encode_record(c->record, &c->x);
		read_record(c, &c->x);
		encode_record(c->record, &c->y);
		if (!same_bytes(&c->x, &c->y))
			return differs("a record that is stored and read has other bytes");
	}
	need(record_fold(c->record, c->other, &c->some));
	if (c->some.n > c->all.n)
		return differs("a record leaves %zu entries, all events %zu", c->some.n, c->all.n);
	return same_entries(c, c->all.n - c->some.n, "a record") && same_state(c, c->whole, c->other, "a record");
}

/* --- all of them ---------------------------------------------------------------------------------------------------------- */

static bool no_refund_behind_a_redemption(struct check *c)
{
	bool redeemed = false;
	for (size_t i = 0; i < c->all.n; i++) {
		redeemed |= c->all.items[i].kind == POSTING_REDEEM && c->all.items[i].points_milli < 0;
		if (redeemed && c->all.items[i].kind == POSTING_REVERSE && c->all.items[i].points_milli < 0)
			return differs("entry %zu takes back, behind a redemption", i + 1);
	}
	return true;
}

/* In this order: the first makes `whole`, the last two change it. */
static const struct {
	const char *name;
	bool (*holds)(struct check *check);
} PROPERTIES[] = {
	{"every entry adds up", every_entry_adds_up},
	{"folded again, it is the same", again_is_the_same},
	{"a stored state goes on", a_stored_state_goes_on},
	{"later events do not matter", later_events_do_not_matter},
	{"the order of arrival does not matter", arrival_does_not_matter},
	{"a record folds to the account", a_record_folds_to_the_account},
	{"time passes alike", time_passes_alike},
	{"refunds in any parts reverse all", any_parts_reverse_all},
};

static void check_init(struct check *c, const struct plan *plan, uint64_t seed)
{
	subject_init(&c->s, plan);
	random_init(&c->r, seed);
	c->whole = account_new(c->s.programme);
	c->other = account_new(c->s.programme);
	c->third = account_new(c->s.programme);
	c->record = record_new(c->s.programme);
	assert_true(c->whole && c->other && c->third && c->record);
}

static void check_release(struct check *c)
{
	account_free(c->whole);
	account_free(c->other);
	account_free(c->third);
	record_free(c->record);
	postings_release(&c->all);
	postings_release(&c->some);
	buf_release(&c->x);
	buf_release(&c->y);
	subject_release(&c->s);
}

static const char *check_all(struct check *c, const struct plan *plan)
{
	for (unsigned i = 0; i < sizeof(PROPERTIES) / sizeof(PROPERTIES[0]); i++) {
		account_reset(c->other);
		postings_clear(&c->some);
		if (!PROPERTIES[i].holds(c))
			return PROPERTIES[i].name;
		if (i == 0 && properties_with_a_wrong_one && !no_refund_behind_a_redemption(c))
			return "no refund comes behind a redemption (which is wrong)";
		postings_clear(&c->some);
		if (i == 0 && !same_rules_are_the_same(c, plan))
			return "the same rules are the same";
	}
	return NULL;
}

const char *properties_check(const struct plan *plan, uint64_t seed, const char **why)
{
	struct check c = {0};
	check_init(&c, plan, seed);
	const char *const broken = c.s.n ? check_all(&c, plan) : NULL;
	check_release(&c);
	*why = reason;
	return broken;
}
