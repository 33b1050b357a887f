/*
 * A deployment in a temporary directory, for the tests of the speed layer: each test in one of its own, with a
 * configuration of its own.
 *
 *     cmocka_unit_test_setup_teardown(test_x, make_shop, remove_shop)
 *     shop_open("sources:\n  - {name: till, dir: spool, format: classic}\n");
 *     shop_put("a.txt", "1|latte 70|1700000000\n");
 *
 * A failure of any of these functions fails the test.
 */
#ifndef PUNCHCARD_TESTS_SPEED_SHOP_H
#define PUNCHCARD_TESTS_SPEED_SHOP_H

#include "base/file.h"
#include "config/deployment.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include <cmocka.h>

#define CLASSIC_SOURCE "sources:\n  - {name: till, dir: spool, format: classic, settle_ms: 0}\n"
#define EVENTS_SOURCE  "sources:\n  - {name: till, dir: spool, format: ndjson, settle_ms: 0}\n"
/* Orders of several lines: receipt, line, member, time (unix seconds), item, amount. */
#define RECEIPTS_SOURCE                                                                                         \
	"sources:\n  - {name: till, dir: spool, format: receipts, settle_ms: 0}\n"                              \
	"order_mappings:\n  - {name: receipts, event_id: [receipt], line: line, customer: member, date: time, " \
	"date_format: '%s', menu: item, amount: amount}\n"
#define RECEIPTS_HEADER "receipt,line,member,time,item,amount\n"

static char shop_base[64];
static char shop_dir[96];
static struct deployment *shop;

__attribute__((unused)) static char *shop_path(const char *name)
{
	char *const path = text_printf("%s/%s", shop_dir, name);
	assert_non_null(path);
	return path;
}

__attribute__((unused)) static char *spool_path(const char *name)
{
	char *const path = text_printf("%s/spool/%s", shop_dir, name);
	assert_non_null(path);
	return path;
}

__attribute__((unused)) static int make_shop(void **state)
{
	(void)state;
	/* In memory, if possible: these tests commit thousands of times. */
	snprintf(shop_base, sizeof(shop_base), "%s/punchcard-test-speed-XXXXXX",
		 access("/dev/shm", W_OK) == 0 ? "/dev/shm" : "/tmp");
	if (!mkdtemp(shop_base))
		return -1;
	snprintf(shop_dir, sizeof(shop_dir), "%s/shop", shop_base);
	return deployment_init(shop_dir, NULL);
}

__attribute__((unused)) static int remove_shop(void **state)
{
	(void)state;
	deployment_close(shop);
	shop = NULL;
	return file_remove_tree(shop_base, NULL);
}

__attribute__((unused)) static void shop_write(const char *name, const void *data, size_t len)
{
	_cleanup_free_ char *path = shop_path(name);
	struct error err = {0};
	if (file_write_durable(path, data, len, &err) < 0)
		fail_msg("%s", err.message);
}

/* Opens it for collecting with this configuration, again if it is open. */
__attribute__((unused)) static void shop_open(const char *config)
{
	_cleanup_free_ char *text = text_printf("version: 1\n%s", config);
	assert_non_null(text);
	shop_write("punchcard.yaml", text, strlen(text));
	deployment_close(shop);
	shop = NULL;
	struct error err = {0};
	if (deployment_open(shop_dir, DEPLOYMENT_COLLECT, "collect", &shop, &err) < 0)
		fail_msg("%s", err.message);
}

__attribute__((unused)) static void shop_put_bytes(const char *name, const void *data, size_t len)
{
	_cleanup_free_ char *path = text_printf("spool/%s", name);
	assert_non_null(path);
	shop_write(path, data, len);
}

__attribute__((unused)) static void shop_put(const char *name, const char *text)
{
	shop_put_bytes(name, text, strlen(text));
}

__attribute__((unused)) static bool spool_has(const char *name)
{
	_cleanup_free_ char *path = spool_path(name);
	return file_exists(path);
}

#endif
