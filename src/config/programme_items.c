/* Categories and items of programme.yaml: one table of all items that anything names, with what holds for each. */
#include "base/limits.h"
#include "config/programme_internal.h"

#include <stdlib.h>
#include <string.h>

/* One place in the file that names an item. */
struct mention {
	const char *name;
	uint64_t categories;
	uint64_t rules;
	bool excluded;
};

struct mentions {
	struct mention *items; /* with room for all */
	size_t n;
};

static int mention_items(const struct maker *m, struct mentions *to, const struct config_strings *names,
			 struct yamldoc_key place, struct mention what)
{
	for (unsigned i = 0; i < names->count; i++) {
		const char *const name = names->items[i];
		if (!*name)
			return yamldoc_fail(
				m->file, m->err, yamldoc_key("%.128s[%u]", place.text, i),
				"'' is no item; expected a sku, or a menu name where the till gives no sku");
		what.name = name;
		to->items[to->n++] = what;
	}
	return 0;
}

static int read_categories(const struct maker *m)
{
	for (unsigned i = 0; i < m->from->n_categories; i++) {
		const char *const name = m->from->categories[i].name;
		const struct yamldoc_key key = yamldoc_key("categories[%u].name", i);
		int rc = maker_check_name(m, key, name);
		for (unsigned k = 0; k < i && rc == 0; k++)
			if (strcmp(m->from->categories[k].name, name) == 0)
				rc = maker_twice(m, key, yamldoc_key("categories[%u].name", k), name);
		if (rc == 0)
			rc = maker_copy(m, name, &m->programme->categories[i]);
		if (rc < 0)
			return rc;
		m->programme->n_categories = i + 1;
	}
	return 0;
}

/* The categories of a list, a bit each. */
static int read_category_list(const struct maker *m, const struct config_strings *names, struct yamldoc_key place,
			      uint64_t *out)
{
	uint64_t mask = 0;
	for (unsigned i = 0; i < names->count; i++) {
		unsigned category = 0;
		const int rc = maker_category(m, yamldoc_key("%.128s[%u]", place.text, i), names->items[i], &category);
		if (rc < 0)
			return rc;
		mask |= UINT64_C(1) << category;
	}
	*out = mask;
	return 0;
}

/* Which rules count each category, and the items that rules name themselves. */
static int read_item_rules(const struct maker *m, struct mentions *mentions,
			   uint64_t by_category[PROGRAMME_CATEGORIES_MAX])
{
	for (unsigned i = 0; i < m->from->n_earn; i++) {
		const struct programme_rate_file *const rate = m->from->earn[i].per_item;
		uint64_t categories = 0;
		if (!rate)
			continue;
		int rc = mention_items(m, mentions, &rate->items, yamldoc_key("earn[%u].per_item.items", i),
				       (struct mention){.rules = UINT64_C(1) << i});
		if (rc == 0)
			rc = read_category_list(m, &rate->categories, yamldoc_key("earn[%u].per_item.categories", i),
						&categories);
		if (rc < 0)
			return rc;
		for (unsigned k = 0; k < PROGRAMME_CATEGORIES_MAX; k++)
			if (categories >> k & 1)
				by_category[k] |= UINT64_C(1) << i;
	}
	return 0;
}

static int mention_all(const struct maker *m, struct mentions *mentions)
{
	uint64_t rules[PROGRAMME_CATEGORIES_MAX] = {0};
	uint64_t excluded = 0;
	int rc = read_categories(m);
	if (rc == 0)
		rc = read_category_list(m, &m->from->exclude, yamldoc_key("exclude"), &excluded);
	if (rc == 0)
		rc = read_item_rules(m, mentions, rules);
	for (unsigned i = 0; i < m->from->n_categories && rc == 0; i++)
		rc = mention_items(m, mentions, &m->from->categories[i].items, yamldoc_key("categories[%u].items", i),
				   (struct mention){.categories = UINT64_C(1) << i,
						    .rules = rules[i],
						    .excluded = excluded >> i & 1});
	return rc;
}

static int compare_mentions(const void *a, const void *b)
{
	const struct mention *const left = a;
	const struct mention *const right = b;
	return strcmp(left->name, right->name);
}

/* The mentions of one item become one, in place; sorted by name. */
static size_t merge_mentions(struct mention *items, size_t n)
{
	size_t kept = 0;
	qsort(items, n, sizeof(*items), compare_mentions);
	for (size_t i = 0; i < n; i++) {
		if (kept == 0 || strcmp(items[kept - 1].name, items[i].name) != 0) {
			items[kept++] = items[i];
			continue;
		}
		items[kept - 1].categories |= items[i].categories;
		items[kept - 1].rules |= items[i].rules;
		items[kept - 1].excluded |= items[i].excluded;
	}
	return kept;
}

static int fill_items(const struct maker *m, struct mention *mentions, size_t n)
{
	struct programme *const p = m->programme;
	n = merge_mentions(mentions, n);
	if (n > PROGRAMME_ITEMS_MAX)
		return yamldoc_fail(m->file, m->err, yamldoc_key("categories"),
				    "'%zu' items are too many in categories and rules together; expected at most %u", n,
				    PROGRAMME_ITEMS_MAX);
	p->items = calloc(n, sizeof(*p->items));
	if (!p->items)
		return error_no_memory(m->err, n * sizeof(*p->items));
	for (size_t i = 0; i < n; i++) {
		struct item_rules *const item = &p->items[i];
		const int rc = maker_copy(m, mentions[i].name, &item->name);
		if (rc < 0)
			return rc;
		p->n_items = (unsigned)i + 1;
		item->categories = mentions[i].categories;
		item->rules = mentions[i].rules;
		item->excluded = mentions[i].excluded;
	}
	return 0;
}

int maker_items(const struct maker *m)
{
	size_t most = 1;
	for (unsigned i = 0; i < m->from->n_categories; i++)
		most += m->from->categories[i].items.count;
	for (unsigned i = 0; i < m->from->n_earn; i++)
		most += m->from->earn[i].per_item ? m->from->earn[i].per_item->items.count : 0;
	struct mentions mentions = {.items = calloc(most, sizeof(*mentions.items))};
	if (!mentions.items)
		return error_no_memory(m->err, most * sizeof(*mentions.items));
	int rc = mention_all(m, &mentions);
	if (rc == 0 && mentions.n)
		rc = fill_items(m, mentions.items, mentions.n);
	free(mentions.items);
	return rc;
}
