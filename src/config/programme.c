#include "base/decimal.h"
#include "base/limits.h"
#include "config/schema_internal.h"

#include <stdlib.h>
#include <string.h>

/* ISO 4217 codes whose minor unit is not a hundredth or the whole: amounts here have two decimals. */
static const char *const FINER_CURRENCIES[] = {"BHD", "IQD", "JOD", "KWD", "LYD", "OMR", "TND", "CLF", "UYW"};

/* At most a million points for one order line of any price. */
#define MAX_POINTS_MILLI INT64_C(1000000000)

static int check_currency(const struct yamldoc *file, const char *currency, struct error *err)
{
	const struct yamldoc_key key = yamldoc_key("currency");
	if (strlen(currency) != 3 || strspn(currency, "ABCDEFGHIJKLMNOPQRSTUVWXYZ") != 3)
		return yamldoc_fail(
			file, err, key,
			"'%s' is no currency; expected an ISO 4217 code of three capitals, such as THB or USD",
			currency);
	for (size_t i = 0; i < sizeof(FINER_CURRENCIES) / sizeof(FINER_CURRENCIES[0]); i++)
		if (strcmp(currency, FINER_CURRENCIES[i]) == 0)
			return yamldoc_fail(
				file, err, key,
				"%s has more than two decimals, and amounts are kept with two; expected a currency "
				"with at most two decimals",
				currency);
	return 0;
}

static int read_positive(const struct yamldoc *file, struct yamldoc_key key, const char *text, int scale, int64_t max,
			 int64_t *out, struct error *err)
{
	int64_t value;
	const char *const expected = scale == 3 ? "a number above 0, at most 1000000, with at most three decimals"
						: "an amount above 0 with at most two decimals";
	if (decimal_parse(text, strlen(text), scale, '.', max, &value) < 0 || value <= 0)
		return yamldoc_fail(file, err, key, "'%s' does not fit; expected %s", text, expected);
	*out = value;
	return 0;
}

static int fill_programme(const struct yamldoc *file, const struct programme_file *from, struct programme *p,
			  struct error *err)
{
	int rc = check_currency(file, from->currency, err);
	if (rc == 0 && !*from->name)
		rc = yamldoc_fail(file, err, yamldoc_key("name"), "'' is empty; expected the programme's name");
	if (rc == 0)
		rc = read_positive(file, yamldoc_key("earn[0].per_amount.points"), from->earn[0].points, 3,
				   MAX_POINTS_MILLI, &p->earn.points_milli, err);
	if (rc == 0)
		rc = read_positive(file, yamldoc_key("earn[0].per_amount.per"), from->earn[0].per, 2,
				   LIMIT_AMOUNT_MINOR, &p->earn.per_minor, err);
	if (rc == 0 &&
	    (__int128)LIMIT_AMOUNT_MINOR * p->earn.points_milli > (__int128)LIMIT_POINTS_MILLI * p->earn.per_minor)
		rc = yamldoc_fail(file, err, yamldoc_key("earn[0].per_amount.points"),
				  "'%s' points for each '%s' is more than sums of points can hold; expected at most "
				  "1000 points for each 1.00",
				  from->earn[0].points, from->earn[0].per);
	if (rc < 0)
		return rc;
	struct error why;
	rc = tz_load(from->timezone, &p->timezone, &why);
	if (rc == ERROR_NO_MEMORY)
		return error_no_memory(err, 0);
	if (rc < 0)
		return yamldoc_fail(file, err, yamldoc_key("timezone"), "%s", why.message);
	memcpy(p->currency, from->currency, sizeof(p->currency));
	p->rounding = from->rounding;
	p->name = strdup(from->name);
	return p->name ? 0 : error_no_memory(err, strlen(from->name));
}

static int make_programme(const struct yamldoc *file, struct programme **out, struct error *err)
{
	void *data = NULL;
	int rc = yamldoc_load(file, &PROGRAMME_SCHEMA, PROGRAMME_RULES, &data, err);
	if (rc < 0)
		return rc;
	struct programme *const programme = calloc(1, sizeof(*programme));
	rc = programme ? fill_programme(file, data, programme, err) : error_no_memory(err, sizeof(*programme));
	yamldoc_free(&PROGRAMME_SCHEMA, data);
	if (rc < 0) {
		programme_free(programme);
		return rc;
	}
	*out = programme;
	return 0;
}

int programme_load(const char *path, struct programme **out, struct error *err)
{
	struct yamldoc file = {0};
	int rc = yamldoc_open(path, &file, err);
	if (rc == 0)
		rc = make_programme(&file, out, err);
	yamldoc_close(&file);
	return rc;
}

int programme_parse(const char *path, const void *data, size_t len, struct programme **out, struct error *err)
{
	struct yamldoc file = {0};
	int rc = yamldoc_parse(path, data, len, &file, err);
	if (rc == 0)
		rc = make_programme(&file, out, err);
	yamldoc_close(&file);
	return rc;
}

void programme_free(struct programme *programme)
{
	if (!programme)
		return;
	tz_free(programme->timezone);
	free(programme->name);
	free(programme);
}
