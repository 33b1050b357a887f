/*
 * Rows for punchcard-fold from any bytes: what is taken is in order and within its limits, and can be made facts and
 * folded, or is refused with a message. The first byte says of what type customers' ids are; the rest are rows.
 */
#include "base/limits.h"
#include "fold/stream.h"
#include "loyalty/account.h"

#include <fcntl.h>
#include <stdlib.h>
#include <sys/mman.h>
#include <unistd.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static void require(bool condition)
{
	if (!condition)
		abort();
}

static struct programme *make_programme(void)
{
	struct programme *const programme = programme_new();
	require(programme && tz_load("UTC", &programme->timezone, NULL) == 0);
	programme->name = text_printf("Fuzz");
	memcpy(programme->currency, "EUR", sizeof(programme->currency));
	programme->n_ledgers = 1;
	programme->ledgers[0] = (struct ledger_rules){
		.name = text_printf("points"),
		.unit = text_printf("points"),
		.decimals = 3,
		.expiry = EXPIRY_DAYS,
		.expiry_n = 30,
	};
	programme->n_rules = 1;
	programme->rules[0] = (struct earn_rule){
		.name = text_printf("base"),
		.kind = RULE_PER_AMOUNT,
		.points_milli = 1000,
		.amount_minor = 100,
		.from_day = DAY_MIN,
		.until_day = DAY_MAX,
	};
	require(programme_prepare(programme, NULL, NULL) == 0);
	return programme;
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	static struct programme *programme;
	if (!programme)
		programme = make_programme();
	if (size == 0)
		return 0;
	const int in = memfd_create("rows", MFD_CLOEXEC);
	const int out = open("/dev/null", O_WRONLY | O_CLOEXEC);
	require(in >= 0 && out >= 0 && write(in, data + 1, size - 1) == (ssize_t)(size - 1));
	require(lseek(in, 0, SEEK_SET) == 0);
	const struct fold_stream_options options = {
		.programme = programme,
		.other = data[0] & 2 ? programme : NULL,
		.day = 20000,
		.id_type = data[0] & 1 ? CUSTOMER_ID_TEXT : CUSTOMER_ID_INTEGER,
	};
	struct error err = {0};
	const int rc = fold_stream(&options, in, out, &err);
	require(rc == 0 || (err.code == rc && err.message[0]));
	/* All was read. */
	char byte;
	require(read(in, &byte, 1) == 0);
	close(in);
	close(out);
	return 0;
}
