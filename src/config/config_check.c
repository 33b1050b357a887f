/* What a schema cannot say: names that must exist or be unique, keys that go together, formats and time zones. */
#include "base/timefmt.h"
#include "base/tz.h"
#include "config/config_check_internal.h"

#include <string.h>

static bool is_name(const char *name)
{
	const size_t len = strlen(name);
	return len >= 1 && len <= 64 && strspn(name, "abcdefghijklmnopqrstuvwxyz0123456789_-") == len;
}

int config_check_name(const struct check *check, struct yamldoc_key key, const char *name)
{
	if (is_name(name))
		return 0;
	return FAIL(check, key, "'%s' is no name; expected a-z, 0-9, '_' and '-', 1 to 64 bytes", name);
}

int config_fail_twice(const struct check *check, struct yamldoc_key key, struct yamldoc_key earlier, const char *name)
{
	return FAIL(check, key, "'%s' is there twice, first in line %zu; expected another name", name,
		    yamldoc_line(check->file, earlier));
}

int config_check_not_empty(const struct check *check, struct yamldoc_key key, const char *value, const char *expected)
{
	if (!value || *value)
		return 0;
	return FAIL(check, key, "'' is empty; expected %s", expected);
}

int config_fail_format(const struct check *check, struct yamldoc_key key, const char *format, const char *builtin,
		       const char *kind, struct buf *known)
{
	const char *const names = buf_text(known);
	if (!names || !*names)
		return FAIL(check, key, "'%s' is no format; expected %s (there is no %s mapping in this file)", format,
			    builtin, strchr(kind, ' ') + 1);
	return FAIL(check, key, "'%s' is no format; expected %s or %s mapping (%s)", format, builtin, kind, names);
}

static void list_customer_mappings(const struct config *config, struct buf *out)
{
	for (unsigned i = 0; i < config->n_customer_mappings; i++)
		(void)buf_printf(out, "%s%s", i ? ", " : "", config->customer_mappings[i].name);
}

/*
 * Mappings.
 */

/* `list` is the key of the list, `i` the mapping's place there. */
static int check_mapping_name(const struct check *check, const char *list, unsigned i, const char *name)
{
	const struct yamldoc_key key = yamldoc_key("%s[%u].name", list, i);
	if (strcmp(name, "classic") == 0 || strcmp(name, "ndjson") == 0)
		return FAIL(check, key, "'%s' is the name of a built-in format; expected another name", name);
	return config_check_name(check, key, name);
}

static int check_delimiter(const struct check *check, const char *list, unsigned i, const char *delimiter)
{
	static const char REFUSED[] = "\"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789";
	if (strlen(delimiter) == 1 && !strchr(REFUSED, delimiter[0]) && (unsigned char)delimiter[0] < 0x80)
		return 0;
	return FAIL(check, yamldoc_key("%s[%u].delimiter", list, i),
		    "'%s' is no delimiter; expected one ASCII character such as \",\", \";\" or \"\\t\", no letter, "
		    "digit or "
		    "quote",
		    delimiter);
}

static int compile_format(const struct check *check, struct yamldoc_key key, const char *format, struct timefmt *out)
{
	struct error why;
	if (timefmt_compile(format, out, &why) == 0)
		return 0;
	return FAIL(check, key, "%s", why.message);
}

static int check_order_times(const struct check *check, unsigned i)
{
	const struct config_order_mapping *const mapping = &check->config->order_mappings[i];
	const struct yamldoc_key date_key = yamldoc_key("order_mappings[%u].date_format", i);
	const struct yamldoc_key time_key = yamldoc_key("order_mappings[%u].time_format", i);
	struct timefmt date;
	struct timefmt time;
	int rc = compile_format(check, date_key, mapping->date_format, &date);
	if (rc < 0)
		return rc;
	if (!date.has_date)
		return FAIL(check, date_key, "'%s' has no date; expected a format such as \"%%Y-%%m-%%d\"",
			    mapping->date_format);
	if (mapping->time && !mapping->time_format)
		return FAIL(check, time_key,
			    "this key is missing; with time, expected a format such as \"%%H:%%M:%%S\"");
	if (!mapping->time_format)
		return 0;
	if (!mapping->time)
		return FAIL(check, yamldoc_key("order_mappings[%u].time", i),
			    "this key is missing; with time_format, expected the name of a column");
	rc = compile_format(check, time_key, mapping->time_format, &time);
	if (rc < 0)
		return rc;
	if (time.has_date || !time.has_time)
		return FAIL(check, time_key, "'%s' is no time of day; expected a format such as \"%%H:%%M:%%S\"",
			    mapping->time_format);
	if (date.has_time)
		return FAIL(check, date_key,
			    "'%s' has the time of day already; expected a date alone, or no keys time and time_format",
			    mapping->date_format);
	return 0;
}

static int check_order_columns(const struct check *check, unsigned i)
{
	const struct config_order_mapping *const m = &check->config->order_mappings[i];
	const struct {
		const char *key;
		const char *value;
	} columns[] = {
		{"line", m->line},   {"customer", m->customer}, {"date", m->date}, {"time", m->time},
		{"store", m->store}, {"sku", m->sku},           {"menu", m->menu}, {"quantity", m->quantity},
		{"price", m->price}, {"amount", m->amount},
	};
	int rc = 0;
	for (size_t k = 0; k < sizeof(columns) / sizeof(columns[0]) && rc == 0; k++)
		rc = config_check_not_empty(check, yamldoc_key("order_mappings[%u].%s", i, columns[k].key),
					    columns[k].value, "the name of a column");
	for (unsigned k = 0; k < m->event_id.count && rc == 0; k++) {
		const struct yamldoc_key key = yamldoc_key("order_mappings[%u].event_id[%u]", i, k);
		rc = config_check_not_empty(check, key, m->event_id.items[k], "the name of a column");
		for (unsigned earlier = 0; earlier < k && rc == 0; earlier++)
			if (strcmp(m->event_id.items[earlier], m->event_id.items[k]) == 0)
				rc = FAIL(check, key, "column '%s' is there twice; expected each once",
					  m->event_id.items[k]);
	}
	return rc;
}

static int check_order_mapping(const struct check *check, unsigned i)
{
	const struct config_order_mapping *const mapping = &check->config->order_mappings[i];
	int rc = check_mapping_name(check, "order_mappings", i, mapping->name);
	for (unsigned k = 0; k < i && rc == 0; k++)
		if (strcmp(check->config->order_mappings[k].name, mapping->name) == 0)
			rc = config_fail_twice(check, yamldoc_key("order_mappings[%u].name", i),
					       yamldoc_key("order_mappings[%u].name", k), mapping->name);
	if (rc == 0)
		rc = check_delimiter(check, "order_mappings", i, mapping->delimiter);
	if (rc == 0)
		rc = check_order_columns(check, i);
	if (rc == 0)
		rc = check_order_times(check, i);
	if (rc < 0)
		return rc;
	if (!mapping->amount && !mapping->price)
		return FAIL(check, yamldoc_key("order_mappings[%u]", i),
			    "neither amount nor price is there; expected the column of at least one of them");
	if (strcmp(mapping->decimal_mark, ".") != 0 && strcmp(mapping->decimal_mark, ",") != 0)
		return FAIL(check, yamldoc_key("order_mappings[%u].decimal_mark", i),
			    "'%s' is no decimal mark; expected \".\" or \",\"", mapping->decimal_mark);
	if (!mapping->timezone)
		return 0;
	struct tz *zone = NULL;
	struct error why;
	if (tz_load(mapping->timezone, &zone, &why) < 0)
		return FAIL(check, yamldoc_key("order_mappings[%u].timezone", i), "%s", why.message);
	tz_free(zone);
	return 0;
}

static int check_customer_names(const struct check *check, unsigned i)
{
	const struct config_customer_mapping *const mapping = &check->config->customer_mappings[i];
	if (mapping->full_name && (mapping->first_name || mapping->last_name))
		return FAIL(check, yamldoc_key("customer_mappings[%u].full_name", i),
			    "it is there beside first_name or last_name; expected either the whole name or its parts");
	return 0;
}

/* A code in two lists would make the answer depend on which is asked first. */
static int check_gender_codes(const struct check *check, unsigned i)
{
	const struct config_customer_mapping *const mapping = &check->config->customer_mappings[i];
	const struct yamldoc_key all = yamldoc_key("customer_mappings[%u].gender_codes", i);
	if (!mapping->gender && yamldoc_has(check->file, all))
		return FAIL(check, all, "there is no column for them; expected the key gender beside it");
	const struct {
		const char *key;
		const struct config_strings *codes;
	} lists[] = {{"male", &mapping->male}, {"female", &mapping->female}, {"neither", &mapping->neither}};
	for (size_t a = 0; a < 3; a++) {
		for (unsigned k = 0; k < lists[a].codes->count; k++) {
			const char *const code = lists[a].codes->items[k];
			for (size_t b = 0; b < a; b++)
				for (unsigned n = 0; n < lists[b].codes->count; n++)
					if (strcmp(lists[b].codes->items[n], code) == 0)
						return FAIL(
							check, yamldoc_key("%s.%s[%u]", all.text, lists[a].key, k),
							"'%s' is a code of %s too%s; expected each code in one list",
							code, lists[b].key,
							yamldoc_has(check->file,
								    yamldoc_key("%s.%s", all.text, lists[b].key))
								? ""
								: " (its default)");
		}
	}
	return 0;
}

static int check_customer_columns(const struct check *check, unsigned i)
{
	const struct config_customer_mapping *const m = &check->config->customer_mappings[i];
	const struct {
		const char *key;
		const char *value;
	} columns[] = {
		{"customer", m->customer},   {"full_name", m->full_name},   {"first_name", m->first_name},
		{"last_name", m->last_name}, {"email", m->email},           {"since", m->since},
		{"card", m->card},           {"birth_date", m->birth_date}, {"birth_year", m->birth_year},
		{"gender", m->gender},       {"home_store", m->home_store},
	};
	int rc = 0;
	for (size_t k = 0; k < sizeof(columns) / sizeof(columns[0]) && rc == 0; k++)
		rc = config_check_not_empty(check, yamldoc_key("customer_mappings[%u].%s", i, columns[k].key),
					    columns[k].value, "the name of a column");
	return rc;
}

static int check_customer_mapping(const struct check *check, unsigned i)
{
	const struct config_customer_mapping *const mapping = &check->config->customer_mappings[i];
	int rc = check_mapping_name(check, "customer_mappings", i, mapping->name);
	for (unsigned k = 0; k < i && rc == 0; k++)
		if (strcmp(check->config->customer_mappings[k].name, mapping->name) == 0)
			rc = config_fail_twice(check, yamldoc_key("customer_mappings[%u].name", i),
					       yamldoc_key("customer_mappings[%u].name", k), mapping->name);
	if (rc == 0)
		rc = check_delimiter(check, "customer_mappings", i, mapping->delimiter);
	if (rc == 0)
		rc = check_customer_columns(check, i);
	if (rc == 0)
		rc = check_customer_names(check, i);
	if (rc == 0)
		rc = check_gender_codes(check, i);
	if (rc < 0)
		return rc;
	const struct yamldoc_key key = yamldoc_key("customer_mappings[%u].date_format", i);
	struct timefmt date;
	rc = compile_format(check, key, mapping->date_format, &date);
	if (rc == 0 && (!date.has_date || date.has_epoch))
		return FAIL(check, key, "'%s' is no date of a calendar; expected a format such as \"%%d/%%m/%%Y\"",
			    mapping->date_format);
	return rc;
}

/*
 * The rest.
 */

static int check_menu_item(const struct check *check, unsigned i)
{
	const char *const name = check->config->menu[i].name;
	const struct yamldoc_key key = yamldoc_key("menu[%u].name", i);
	const struct slice whole = slice_of(name);
	if (whole.len == 0 || slice_trim(whole).len != whole.len || strchr(name, '|'))
		return FAIL(check, key,
			    "'%s' is no name of an item; expected text without '|' and without blanks at its ends",
			    name);
	for (unsigned k = 0; k < i; k++)
		if (strcmp(check->config->menu[k].name, name) == 0)
			return config_fail_twice(check, key, yamldoc_key("menu[%u].name", k), name);
	return 0;
}

static int check_customer_format(const struct check *check)
{
	const char *const format = check->config->customer_format;
	if (strcmp(format, "classic") == 0 || config_customer_mapping(check->config, format))
		return 0;
	_cleanup_buf_ struct buf known = {0};
	list_customer_mappings(check->config, &known);
	return config_fail_format(check, yamldoc_key("customers.format"), format, "classic", "a customer", &known);
}

int config_check(const struct yamldoc *file, const struct config *config, struct error *err)
{
	const struct check check = {.file = file, .config = config, .err = err};
	int rc = 0;
	for (unsigned i = 0; i < config->n_order_mappings && rc == 0; i++)
		rc = check_order_mapping(&check, i);
	for (unsigned i = 0; i < config->n_customer_mappings && rc == 0; i++)
		rc = check_customer_mapping(&check, i);
	for (unsigned i = 0; i < config->n_sources && rc == 0; i++)
		rc = config_check_source(&check, i);
	for (unsigned i = 0; i < config->n_menu && rc == 0; i++)
		rc = check_menu_item(&check, i);
	if (rc == 0)
		rc = check_customer_format(&check);
	return rc == 0 ? config_check_cluster(&check) : rc;
}
