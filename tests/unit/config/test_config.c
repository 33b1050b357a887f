/* punchcard.yaml: what it gives, and the exact words of each refusal. */
#include "base/file.h"
#include "config/schema_internal.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "config_texts.h"

#define SOURCE(rest) "version: 1\nsources:\n  - name: till\n    dir: spool\n    format: classic\n" rest
#define ORDERS(rest) \
	"version: 1\norder_mappings:\n  - name: pos\n    event_id: [id]\n    customer: c\n    date: d\n" rest
#define MEMBERS(rest) "version: 1\ncustomer_mappings:\n  - name: club\n    customer: c\n" rest

static void test_defaults(void **state)
{
	(void)state;
	struct config *const config =
		parse(SOURCE("order_mappings:\n"
			     "  - {name: pos, event_id: [id], customer: c, date: d, date_format: '%s', amount: a}\n"
			     "customer_mappings:\n  - {name: club, customer: c}\n"));
	assert_string_equal(config->path, "p.yaml");
	assert_int_equal(config->customer_id, CUSTOMER_ID_INTEGER);
	assert_string_equal(config->customer_format, "classic");
	assert_int_equal(config->n_sources, 1);
	const struct config_source *const source = config_source(config, "till");
	assert_ptr_equal(source, config->sources);
	assert_string_equal(source->pattern, "*");
	assert_int_equal(source->when_done, WHEN_DONE_RENAME);
	assert_string_equal(source->suffix, ".COMPLETED");
	assert_null(source->move_to);
	assert_int_equal(source->settle_ms, 2000);
	assert_null(config_source(config, "tills"));
	const struct config_order_mapping *const pos = config_order_mapping(config, "pos");
	assert_non_null(pos);
	assert_string_equal(pos->delimiter, ",");
	assert_string_equal(pos->decimal_mark, ".");
	assert_int_equal(pos->guest.count, 2);
	assert_string_equal(pos->guest.items[0], "");
	assert_string_equal(pos->guest.items[1], "0");
	assert_null(pos->time);
	assert_null(pos->price);
	const struct config_customer_mapping *const club = config_customer_mapping(config, "club");
	assert_non_null(club);
	assert_string_equal(club->date_format, "%Y-%m-%d");
	assert_int_equal(club->male.count, 1);
	assert_string_equal(club->female.items[0], "F");
	assert_int_equal(club->neither.count, 2);
	assert_int_equal(config->future_limit_h, 24);
	assert_int_equal(config->journal_map_gib, 64);
	assert_int_equal(config->journal_retention_h, 24);
	assert_int_equal(config->view_map_gib, 64);
	assert_in_range(config->engine_memory_mib, 512, 1024); /* by the machine */
	assert_int_equal(config->engine_threads, 0);
	config_free(config);
}

static void test_values(void **state)
{
	(void)state;
	struct config *const config =
		parse("version: 1\r\ncustomer_id: text\r\n"
		      "customers: {format: club}\n"
		      "sources:\n"
		      "  - {name: a, dir: /in/a, format: pos, pattern: '*.csv', when_done: move, move_to: done, "
		      "settle_ms: 0}\n"
		      "  - {name: b, dir: in, format: classic, when_done: delete}\n"
		      "  - {name: c, dir: in, format: classic, pattern: '*.txt', suffix: .done}\n"
		      "order_mappings:\n"
		      "  - {name: pos, delimiter: \"\\t\", timezone: Europe/Berlin, event_id: [shop, no, day], line: "
		      "l, customer: c,\n"
		      "     guest: [], date: day, date_format: '%d.%m.%Y', time: t, time_format: '%H:%M', store: shop, "
		      "sku: s,\n"
		      "     menu: m, quantity: q, price: p, amount: a, decimal_mark: ','}\n"
		      "customer_mappings:\n"
		      "  - {name: club, delimiter: ;, customer: id, first_name: f, last_name: l, email: e, since: s, "
		      "card: k,\n"
		      "     birth_date: b, birth_year: y, gender: g, home_store: h, date_format: '%d/%m/%y',\n"
		      "     gender_codes: {male: [1, H], female: ['2'], neither: []}}\n"
		      "menu:\n  - {name: flat white, price: 3.50}\n  - {name: water, price: 0}\n"
		      "limits: {future_hours: 0}\njournal: {map_gib: 2, retention_hours: 0}\n"
		      "view: {map_gib: 3}\nengine: {memory_mib: 256, threads: 2}\n");
	assert_int_equal(config->customer_id, CUSTOMER_ID_TEXT);
	assert_string_equal(config->customer_format, "club");
	assert_int_equal(config->n_sources, 3);
	assert_int_equal(config->sources[0].when_done, WHEN_DONE_MOVE);
	assert_string_equal(config->sources[0].move_to, "done");
	assert_null(config->sources[0].suffix);
	assert_int_equal(config->sources[0].settle_ms, 0);
	assert_int_equal(config->sources[1].when_done, WHEN_DONE_DELETE);
	assert_string_equal(config->sources[2].suffix, ".done");
	const struct config_order_mapping *const pos = &config->order_mappings[0];
	assert_string_equal(pos->delimiter, "\t");
	assert_int_equal(pos->event_id.count, 3);
	assert_string_equal(pos->event_id.items[2], "day");
	assert_int_equal(pos->guest.count, 0);
	assert_string_equal(pos->decimal_mark, ",");
	const struct config_customer_mapping *const club = &config->customer_mappings[0];
	assert_int_equal(club->male.count, 2);
	assert_string_equal(club->male.items[0], "1");
	assert_string_equal(club->female.items[0], "2");
	assert_int_equal(club->neither.count, 0);
	assert_string_equal(club->home_store, "h");
	assert_int_equal(config->n_menu, 2);
	assert_int_equal(config->menu[0].price_minor, 350);
	assert_int_equal(config->menu[1].price_minor, 0);
	assert_int_equal(config->future_limit_h, 0);
	assert_int_equal(config->journal_map_gib, 2);
	assert_int_equal(config->journal_retention_h, 0);
	assert_int_equal(config->view_map_gib, 3);
	assert_int_equal(config->engine_memory_mib, 256);
	assert_int_equal(config->engine_threads, 2);
	config_free(config);
}

static void test_least_file(void **state)
{
	(void)state;
	struct config *const config = parse("version: 1");
	assert_int_equal(config->n_sources, 0);
	assert_int_equal(config->n_menu, 0);
	config_free(config);
}

static void test_files_that_are_no_configuration(void **state)
{
	(void)state;
	static const char EMPTY[] =
		"p.yaml:1: the file is empty; `punchcard init` in an empty directory writes one to start from";
	static const struct refusal CASES[] = {
		{"", EMPTY},
		{"\n\n# nothing\n", EMPTY},
		{"---\n", EMPTY},
		{"hello", "p.yaml:1: this is plain text; expected keys with their values (key: value)"},
		{"- a\n- b\n", "p.yaml:1: this is a list; expected keys with their values (key: value)"},
		{"version: 1\n---\nversion: 1\n", "p.yaml:2: a second document begins here (---); expected one"},
		{"version: &a 1\ncustomer_id: *a\n",
		 "p.yaml:2: an alias (*name) is not supported here; write the value out"},
		{"version: 1\nsources: [\n",
		 "p.yaml:3: this is no YAML: while parsing a flow node: did not find expected node content"},
		{"version: 1\nview:\n\tmap_gib: 1\n", "p.yaml:3: this is no YAML: while scanning for the next token: "
						      "found character that cannot start any token (a "
						      "tab: indent with blanks)"},
		{"version: 1\nmenu: \xff\xfe\n",
		 "p.yaml:2: this is no text: invalid leading UTF-8 octet; expected YAML in UTF-8"},
		{"version: 1\n\n\x01\n",
		 "p.yaml:3: this is no text: control characters are not allowed; expected YAML in UTF-8"},
	};
	assert_all_refused(CASES, N(CASES));

	struct config *config = NULL;
	struct error err = {0};
	static const char ELF[] = "\x7f"
				  "ELF\0\0\0";
	assert_int_equal(config_parse("p.yaml", ELF, sizeof(ELF), &config, &err), ERROR_CONFIG);
	assert_string_equal(err.message,
			    "p.yaml:1: this is no text: control characters are not allowed; expected YAML in UTF-8");
	/* Deep nesting costs neither the stack nor an hour. */
	const size_t size = 1u << 20;
	char *const deep = malloc(size + 1);
	assert_non_null(deep);
	memset(deep, '[', size + 1);
	assert_int_equal(config_parse("p.yaml", deep, size, &config, &err), ERROR_CONFIG);
	assert_string_equal(err.message, "p.yaml:1: lists and keys are nested deeper than 32");
	assert_int_equal(config_parse("p.yaml", deep, size + 1, &config, &err), ERROR_CONFIG);
	assert_string_equal(err.message, "p.yaml is larger than 1048576 bytes: this is no configuration");
	free(deep);
	assert_null(config);
}

static void test_keys(void **state)
{
	(void)state;
	static const struct refusal CASES[] = {
		{"customer_id: text\n",
		 "p.yaml:1: version: this key is missing; expected 1, the version of this file's layout"},
		{"version: 2\n",
		 "p.yaml:1: version: '2' is out of range; expected 1, the version of this file's layout"},
		{"version: one\n",
		 "p.yaml:1: version: 'one' is no whole number; expected 1, the version of this file's layout"},
		{"version: 1\nmneu: []\n",
		 "p.yaml:2: mneu: this key is unknown; did you mean 'menu'? expected one of version, customer_id, "
		 "customers, "
		 "sources, order_mappings, customer_mappings, menu, limits, journal, tables, view, engine, cluster"},
		{"version: 1\nview: {size: 3}\n",
		 "p.yaml:2: view.size: this key is unknown; expected one of map_gib, max_delay_ms"},
		{"version: 1\n<<: {}\n", "p.yaml:2: <<: this key is unknown; expected one of version, customer_id, "
					 "customers, sources, order_mappings, "
					 "customer_mappings, menu, limits, journal, tables, view, engine, cluster"},
		{"version: 1\n[a]: b\n", "p.yaml:2: a key is a list or has keys itself; expected a plain word as key"},
		{"version: 1\nview:\n  map_gib: 3\n  map_gib: 4\n",
		 "p.yaml:4: view.map_gib: this key is there twice, first in line 3; expected once"},
		{"version: 1\nversion: 1\n",
		 "p.yaml:2: version: this key is there twice, first in line 1; expected once"},
		{"version:\n",
		 "p.yaml:1: version: this key has no value; expected 1, the version of this file's layout"},
		{"version: 1\nview:\n", "p.yaml:2: view: this key has no value; expected the keys map_gib and "
					"max_delay_ms below it, or no such line"},
		{"version: 1\ncustomer_id: ~\n",
		 "p.yaml:2: customer_id: this key has no value; expected integer or text, or no such line"},
		{"version: 1\nview: 3\n",
		 "p.yaml:2: view: this is plain text; expected the keys map_gib and max_delay_ms below it"},
		{"version: 1\nview: [3]\n",
		 "p.yaml:2: view: this is a list; expected the keys map_gib and max_delay_ms below it"},
		{"version: 1\nview: {map_gib: [3]}\n", "p.yaml:2: view.map_gib: is a list; expected GiB, 1 to 16384"},
		{"version: 1\nview: {map_gib: {a: 3}}\n",
		 "p.yaml:2: view.map_gib: has keys below it; expected GiB, 1 to 16384"},
		{"version: 1\ncustomer_id: number\n",
		 "p.yaml:2: customer_id: 'number' is not one of its values; expected integer or text"},
		{"version: 1\ncustomer_id: Text\n",
		 "p.yaml:2: customer_id: 'Text' is not one of its values; expected integer or text"},
		{"version: 1\ncustomer_id: 1\n",
		 "p.yaml:2: customer_id: '1' is not one of its values; expected integer or text"},
		{"version: 1\nmenu: espresso\n",
		 "p.yaml:2: menu: this is no list; expected a list of at most 1000 items, each {name: …, price: …}"},
		{"version: 1\nmenu:\n  - {name: a, price: 1}\n  -\n",
		 "p.yaml:4: menu[1]: this item has no value; expected the keys name and price"},
		{"version: 1\nmenu:\n  - {name: a, price: 1}\n  - {name: b}\n",
		 "p.yaml:4: menu[1].price: this key is missing; expected a price with at most two decimals, such as 65 "
		 "or 2.50"},
		{"version: 1\nmenu:\n  - {name: \"a\\0b\", price: 1}\n",
		 "p.yaml:3: menu[0].name: 'a?b' has a control character; expected what the till calls it"},
	};
	assert_all_refused(CASES, N(CASES));
}

static void test_numbers(void **state)
{
	(void)state;
	static const struct refusal CASES[] = {
		{"version: 1\nview: {map_gib: 0}\n",
		 "p.yaml:2: view.map_gib: '0' is out of range; expected GiB, 1 to 16384"},
		{"version: 1\nview: {map_gib: 16385}\n",
		 "p.yaml:2: view.map_gib: '16385' is out of range; expected GiB, 1 to 16384"},
		{"version: 1\nview: {map_gib: -1}\n",
		 "p.yaml:2: view.map_gib: '-1' is out of range; expected GiB, 1 to 16384"},
		{"version: 1\nview: {map_gib: 1.5}\n",
		 "p.yaml:2: view.map_gib: '1.5' is no whole number; expected GiB, 1 to 16384"},
		{"version: 1\nview: {map_gib: 010}\n",
		 "p.yaml:2: view.map_gib: '010' is no whole number; expected GiB, 1 to 16384"},
		{"version: 1\nview: {map_gib: 0x10}\n",
		 "p.yaml:2: view.map_gib: '0x10' is no whole number; expected GiB, 1 to 16384"},
		{"version: 1\nview: {map_gib: 4294967297}\n",
		 "p.yaml:2: view.map_gib: '4294967297' is out of range; expected GiB, 1 to 16384"},
		{"version: 1\nview: {map_gib: 99999999999999999999}\n",
		 "p.yaml:2: view.map_gib: '99999999999999999999' is no whole number; expected GiB, 1 to 16384"},
		{"version: 1\nengine: {memory_mib: 127}\n",
		 "p.yaml:2: engine.memory_mib: '127' is out of range; expected MiB, 128 to 1048576"},
		{"version: 1\nengine: {threads: 257}\n",
		 "p.yaml:2: engine.threads: '257' is out of range; expected 0 (all cores) to 256"},
		{"version: 1\nlimits: {future_hours: 8785}\n",
		 "p.yaml:2: limits.future_hours: '8785' is out of range; expected hours, 0 to 8784"},
		{"version: 1\njournal: {retention_hours: soon}\n",
		 "p.yaml:2: journal.retention_hours: 'soon' is no whole number; expected hours, 0 to 87600"},
		{SOURCE("    settle_ms: 3600001\n"),
		 "p.yaml:6: sources[0].settle_ms: '3600001' is out of range; expected milliseconds, 0 to 3600000"},
	};
	assert_all_refused(CASES, N(CASES));
}

static void test_sources(void **state)
{
	(void)state;
	static const struct refusal CASES[] = {
		{"version: 1\nsources:\n  - dir: spool\n    format: classic\n",
		 "p.yaml:3: sources[0].name: this key is missing; expected a name of a-z, 0-9, '_' and '-', at most 64 "
		 "bytes"},
		{"version: 1\nsources:\n  - {name: Till 1, dir: spool, format: classic}\n",
		 "p.yaml:3: sources[0].name: 'Till 1' is no name; expected a-z, 0-9, '_' and '-', 1 to 64 bytes"},
		{SOURCE("  - {name: till, dir: other, format: classic}\n"),
		 "p.yaml:6: sources[1].name: 'till' is there twice, first in line 3; expected another name"},
		{SOURCE("  - {name: b, dir: ./spool/, format: classic}\n"),
		 "p.yaml:6: sources[1].dir: source till takes the same files of './spool/' already; expected another "
		 "dir or pattern"},
		{SOURCE("  - {name: b, type: tail, path: ./spool/till-*.log, format: classic}\n"),
		 "p.yaml:6: sources[1].path: source till takes the same files of 'spool' already, and each line would "
		 "count twice; expected files of another directory"},
		{"version: 1\nsources:\n  - {name: a, type: tail, path: in/2026/x.log, format: classic}\n"
		 "  - {name: b, dir: in, recursive: true, pattern: '*.log', format: classic}\n",
		 "p.yaml:4: sources[1].dir: source a follows the same files ('in/2026/x.log') already, and each line "
		 "would count twice; expected another dir or pattern"},
		{"version: 1\nsources:\n  - name: a\n    dir: ''\n    format: classic\n",
		 "p.yaml:4: sources[0].dir: '' is empty; expected a directory, such as spool"},
		{"version: 1\nsources:\n  - name: a\n    dir: ./\n    format: classic\n",
		 "p.yaml:4: sources[0].dir: './' holds files of punchcard's own; expected a directory for orders "
		 "alone, such as "
		 "spool"},
		{"version: 1\nsources:\n  - name: a\n    dir: data/in\n    format: classic\n",
		 "p.yaml:4: sources[0].dir: 'data/in' holds files of punchcard's own; expected a directory for orders "
		 "alone, such "
		 "as spool"},
		{"version: 1\nsources:\n  - name: a\n    dir: spool\n    format:\n",
		 "p.yaml:5: sources[0].format: this key has no value; expected classic, ndjson or the name of an order "
		 "mapping, or no such line"},
		{"version: 1\nsources:\n  - name: a\n    dir: spool\n    format: clasic\n",
		 "p.yaml:5: sources[0].format: 'clasic' is no format; expected classic or ndjson (there is no order "
		 "mapping in "
		 "this file)"},
		{"version: 1\nsources:\n  - {name: a, dir: spool, format: po}\norder_mappings:\n"
		 "  - {name: pos, event_id: [id], customer: c, date: d, date_format: '%s', amount: a}\n"
		 "  - {name: web, event_id: [id], customer: c, date: d, date_format: '%s', amount: a}\n",
		 "p.yaml:3: sources[0].format: 'po' is no format; expected classic, ndjson or an order mapping (pos, "
		 "web)"},
		{SOURCE("    pattern: in/*.txt\n"), "p.yaml:6: sources[0].pattern: 'in/*.txt' is no pattern; expected "
						    "one of file names, such as '*.txt', without '/'"},
		{SOURCE("    when_done: keep\n"),
		 "p.yaml:6: sources[0].when_done: 'keep' is not one of its values; expected rename, move or delete"},
		{SOURCE("    when_done: move\n"), "p.yaml:3: sources[0].move_to: this key is missing; with when_done: "
						  "move, expected a directory, such as done"},
		{SOURCE("    when_done: move\n    move_to: spool/.\n"),
		 "p.yaml:7: sources[0].move_to: it is where the files come from; expected another directory than "
		 "'spool'"},
		{SOURCE("    move_to: done\n"),
		 "p.yaml:6: sources[0].move_to: it only goes with when_done: move; expected no such line"},
		{SOURCE("    when_done: move\n    suffix: .x\n    move_to: done\n"),
		 "p.yaml:7: sources[0].suffix: it only goes with when_done: rename or delete; expected no such line"},
		{SOURCE("    suffix: ''\n"),
		 "p.yaml:6: sources[0].suffix: '' is no suffix; expected something like .COMPLETED, without '/'"},
		{SOURCE("    suffix: /done\n"),
		 "p.yaml:6: sources[0].suffix: '/done' is no suffix; expected something like .COMPLETED, without '/'"},
		{SOURCE("    formats: x\n"), "p.yaml:6: sources[0].formats: this key is unknown; did you mean "
					     "'format'? expected one of name, type, dir, pattern, recursive, scan_s, "
					     "format, when_done, suffix, move_to, settle_ms, path, command, restart_s, "
					     "listen, token_file, max_body_kib, max_waiting, answer, brokers, "
					     "topics, partitions, group, from, properties, properties_file"},
	};
	assert_all_refused(CASES, N(CASES));
	/* A directory whose name only begins like one of ours, and two patterns in one directory. */
	config_free(parse("version: 1\nsources:\n  - {name: a, dir: database, format: classic}\n"
			  "  - {name: b, dir: database/, format: classic, pattern: '*.x'}\n"));
}

#define A_SOURCE(keys) "version: 1\nsources:\n  - {name: a, " keys "}\n"
#define TWO(a, b)      "version: 1\nsources:\n  - {name: a, " a "}\n  - {name: b, " b "}\n"

static void test_types_of_sources(void **state)
{
	(void)state;
	struct config *config = parse(
		"version: 1\nsources:\n"
		"  - {name: a, dir: spool, format: classic, recursive: true, scan_s: 5}\n"
		"  - {name: b, type: tail, path: logs/till-*.log, format: classic, settle_ms: 100}\n"
		"  - {name: c, type: stdin, format: ndjson}\n"
		"  - {name: d, type: exec, command: [cat, '-'], format: classic}\n"
		"  - {name: e, type: http, listen: '[::1]:8480'}\n"
		"  - {name: f, type: tcp, listen: '127.0.0.1:8481', format: classic}\n"
		"  - {name: g, type: tcp, listen: '127.0.0.1:8482', format: ndjson, answer: false}\n"
		"  - {name: h, type: kafka, brokers: 'a:1,b:1', topics: [x, y], format: ndjson}\n"
		"  - {name: i, type: kafka, brokers: 'c:1', topics: [x], partitions: [0, 12], group: g, from: latest,\n"
		"     properties: [a=b=c], properties_file: f, scan_s: 2, format: classic}\n");
	assert_int_equal(config->sources[0].type, SOURCE_SPOOL);
	assert_true(config->sources[0].recursive);
	assert_int_equal(config->sources[0].scan_s, 5);
	assert_int_equal(config->sources[1].type, SOURCE_TAIL);
	assert_string_equal(config->sources[1].path, "logs/till-*.log");
	assert_int_equal(config->sources[1].settle_ms, 100);
	assert_null(config->sources[1].suffix);
	assert_int_equal(config->sources[2].type, SOURCE_STDIN);
	assert_int_equal(config->sources[2].settle_ms, 2000);
	assert_int_equal(config->sources[3].command.count, 2);
	assert_int_equal(config->sources[3].restart_s, 1);
	assert_string_equal(config->sources[4].format, "ndjson");
	assert_int_equal(config->sources[4].max_body_kib, 4096);
	assert_int_equal(config->sources[4].max_waiting, 256);
	for (enum source_type type = SOURCE_SPOOL; type < SOURCE_TYPES; type++)
		assert_string_equal(config_source_type_name(type),
				    ((const char *[]){"spool", "tail", "stdin", "exec", "http", "tcp", "kafka"})[type]);
	assert_true(config->sources[5].answer && !config->sources[6].answer);
	assert_int_equal(config->sources[7].type, SOURCE_KAFKA);
	assert_int_equal(config->sources[7].topics.count, 2);
	assert_int_equal(config->sources[7].partitions.count, 0);
	assert_string_equal(config->sources[7].group, "punchcard");
	assert_int_equal(config->sources[7].from, KAFKA_FROM_EARLIEST);
	assert_int_equal(config->sources[7].scan_s, 30);
	assert_int_equal(config->sources[8].from, KAFKA_FROM_LATEST);
	assert_string_equal(config->sources[8].partitions.items[1], "12");
	assert_string_equal(config->sources[8].properties.items[0], "a=b=c");
	config_free(config);
	static const struct refusal CASES[] = {
		{A_SOURCE("type: kafak, format: classic"),
		 "p.yaml:3: sources[0].type: 'kafak' is not one of its "
		 "values; expected spool, tail, stdin, exec, http, tcp or kafka"},
		{A_SOURCE("type: kafka, format: classic"),
		 "p.yaml:3: sources[0].brokers: this key is missing; expected "
		 "addresses of brokers, such as broker1:9092,broker2:9092"},
		{A_SOURCE("type: kafka, format: classic, brokers: 'a:1', topics: [a/b]"),
		 "p.yaml:3: sources[0].topics[0]: 'a/b' is no name of a topic; expected a topic's name"},
		{A_SOURCE("type: kafka, format: classic, brokers: 'a:1', topics: [a, b, a]"),
		 "p.yaml:3: sources[0].topics[2]: 'a' is there twice; expected a topic's name"},
		{A_SOURCE("type: kafka, format: classic, brokers: 'a:1', topics: [a], partitions: [all]"),
		 "p.yaml:3: sources[0].partitions[0]: 'all' is no partition; expected a number from 0"},
		{A_SOURCE("type: kafka, format: classic, brokers: 'a:1', topics: [a], properties: [geheim]"),
		 "p.yaml:3: sources[0].properties[0]: this is no setting; expected name=value, such as "
		 "security.protocol=ssl"},
		{A_SOURCE("type: kafka, format: classic, brokers: 'a:1', topics: [a], partitions: [1]}\n"
			  "  - {name: z, type: kafka, format: classic, brokers: 'a:1', topics: [b, a]"),
		 "p.yaml:4: sources[1].topics[1]: source a reads 'a' already; expected another topic, or other "
		 "partitions"},
		{A_SOURCE("format: classic"),
		 "p.yaml:3: sources[0].dir: this key is missing; expected a directory, such as spool"},
		{A_SOURCE("dir: spool"),
		 "p.yaml:3: sources[0].format: this key is missing; expected classic, ndjson or the "
		 "name of an order mapping"},
		{A_SOURCE("dir: spool, format: classic, recursive: maybe"),
		 "p.yaml:3: sources[0].recursive: 'maybe' is not one of its values; expected true or false"},
		{A_SOURCE("dir: spool, format: classic, scan_s: 0"),
		 "p.yaml:3: sources[0].scan_s: '0' is out of range; expected seconds, 1 to 86400"},
		{A_SOURCE("dir: spool, format: classic, listen: '127.0.0.1:1'"),
		 "p.yaml:3: sources[0].listen: a source of type spool has no such key (it goes with http, tcp)"},
		{A_SOURCE("type: tail, format: classic"), "p.yaml:3: sources[0].path: this key is missing; expected a "
							  "file, or a pattern of files in a directory, such "
							  "as logs/till-*.log"},
		{A_SOURCE("type: tail, path: '*/a.log', format: classic"),
		 "p.yaml:3: sources[0].path: '*/a.log' has a pattern in a directory's name; expected one in the last "
		 "part only"},
		{A_SOURCE("type: tail, path: logs/, format: classic"),
		 "p.yaml:3: sources[0].path: 'logs/' names no file; expected one, or a pattern, such as "
		 "logs/till-*.log"},
		{TWO("type: tail, path: a, format: classic", "type: tail, path: a, format: classic"),
		 "p.yaml:4: sources[1].path: source a follows 'a' already; expected another path"},
		{A_SOURCE("type: tail, path: a, format: po"),
		 "p.yaml:3: sources[0].format: 'po' is no format; expected classic or ndjson (there is no order "
		 "mapping in this "
		 "file)"},
		{A_SOURCE("type: tail, path: a, format: classic, when_done: delete"),
		 "p.yaml:3: sources[0].when_done: a source of type tail has no such key (it goes with spool)"},
		{TWO("type: stdin, format: classic", "type: stdin, format: classic"),
		 "p.yaml:4: sources[1].type: source a reads the standard input already; expected another type"},
		{A_SOURCE("type: exec, format: classic"), "p.yaml:3: sources[0].command: this key is missing; expected "
							  "a list of the program and its arguments, such as "
							  "[ssh, till, tail, -F, x]"},
		{A_SOURCE("type: exec, command: [], format: classic"),
		 "p.yaml:3: sources[0].command: this list has too few items; expected a list of the program and its "
		 "arguments, "
		 "such as [ssh, till, tail, -F, x]"},
		{A_SOURCE("type: exec, command: [''], format: classic"),
		 "p.yaml:3: sources[0].command[0]: '' is empty; expected a program"},
		{A_SOURCE("type: http"),
		 "p.yaml:3: sources[0].listen: this key is missing; expected an address and a port, such "
		 "as 127.0.0.1:8480"},
		{A_SOURCE("type: http, listen: 8480"), "p.yaml:3: sources[0].listen: '8480' is no address; expected an "
						       "address and a port, such as 127.0.0.1:8480"},
		{A_SOURCE("type: http, listen: 'a:70000'"), "p.yaml:3: sources[0].listen: 'a:70000' is no address; "
							    "expected an address and a port, such as 127.0.0.1:8480"},
		{A_SOURCE("type: http, listen: 'a:1', format: classic"),
		 "p.yaml:3: sources[0].format: 'classic': requests bear events in JSON; expected ndjson, or no such "
		 "line"},
		{A_SOURCE("type: http, listen: 'a:1', settle_ms: 5"),
		 "p.yaml:3: sources[0].settle_ms: a source of type http has no such key (it goes with spool, tail, "
		 "stdin, exec)"},
		{A_SOURCE("type: tcp, listen: 'a:1'"),
		 "p.yaml:3: sources[0].format: this key is missing; expected classic, ndjson or the "
		 "name of an order mapping"},
		{A_SOURCE("type: tcp, listen: 'a:1', format: x"),
		 "p.yaml:3: sources[0].format: 'x': a connection brings lines, each on its own; expected classic or "
		 "ndjson"},
		{A_SOURCE("type: http, listen: 'a:1', answer: false"),
		 "p.yaml:3: sources[0].answer: a source of type http has no such key (it goes with tcp)"},
		{TWO("type: http, listen: 'a:1'", "type: tcp, listen: 'a:1', format: classic"),
		 "p.yaml:4: sources[1].listen: source a listens at a:1 already; expected another port"},
		{TWO("type: http, listen: 'a:1'", "type: http, listen: 'a:1'"),
		 "p.yaml:4: sources[1].listen: source a listens at a:1 already; expected another port"},
	};
	assert_all_refused(CASES, N(CASES));
}

static void test_order_mappings(void **state)
{
	(void)state;
	static const struct refusal CASES[] = {
		{ORDERS("    date_format: '%Y-%m-%d'\n"), "p.yaml:3: order_mappings[0]: neither amount nor price is "
							  "there; expected the column of at least one of them"},
		{ORDERS("    amount: a\n"), "p.yaml:3: order_mappings[0].date_format: this key is missing; expected a "
					    "format such as \"%Y-%m-%d\""},
		{ORDERS("    amount: a\n    date_format: '%Y-%m-%e'\n"),
		 "p.yaml:8: order_mappings[0].date_format: '%Y-%m-%e' has %e, which is no field; expected %Y %y %m %b "
		 "%d %H %I %p "
		 "%M %S %f %z %s or %%"},
		{ORDERS("    amount: a\n    date_format: '%H:%M'\n"),
		 "p.yaml:8: order_mappings[0].date_format: '%H:%M' has no date; expected a format such as "
		 "\"%Y-%m-%d\""},
		{ORDERS("    amount: a\n    date_format: '%Y-%m-%d'\n    time: t\n"),
		 "p.yaml:3: order_mappings[0].time_format: this key is missing; with time, expected a format such as "
		 "\"%H:%M:%S\""},
		{ORDERS("    amount: a\n    date_format: '%Y-%m-%d'\n    time_format: '%H:%M'\n"),
		 "p.yaml:3: order_mappings[0].time: this key is missing; with time_format, expected the name of a "
		 "column"},
		{ORDERS("    amount: a\n    date_format: '%s'\n    time: t\n    time_format: '%H:%M'\n"),
		 "p.yaml:8: order_mappings[0].date_format: '%s' has the time of day already; expected a date alone, or "
		 "no keys time "
		 "and time_format"},
		{ORDERS("    amount: a\n    date_format: '%Y-%m-%d'\n    time: t\n    time_format: '%d'\n"),
		 "p.yaml:10: order_mappings[0].time_format: '%d' has a part of a date only; a date is a year (%Y or "
		 "%y), a month "
		 "(%m or %b) and a day (%d)"},
		{ORDERS("    amount: a\n    date_format: '%Y-%m-%d'\n    time: t\n    time_format: '%Y-%m-%d'\n"),
		 "p.yaml:10: order_mappings[0].time_format: '%Y-%m-%d' is no time of day; expected a format such as "
		 "\"%H:%M:%S\""},
		{ORDERS("    amount: a\n    date_format: '%s'\n    delimiter: ;;\n"),
		 "p.yaml:9: order_mappings[0].delimiter: ';;' is no delimiter; expected one ASCII character such as "
		 "\",\", \";\" or "
		 "\"\\t\", no letter, digit or quote"},
		{ORDERS("    amount: a\n    date_format: '%s'\n    delimiter: x\n"),
		 "p.yaml:9: order_mappings[0].delimiter: 'x' is no delimiter; expected one ASCII character such as "
		 "\",\", \";\" or "
		 "\"\\t\", no letter, digit or quote"},
		{ORDERS("    amount: a\n    date_format: '%s'\n    delimiter: ''\n"),
		 "p.yaml:9: order_mappings[0].delimiter: '' is no delimiter; expected one ASCII character such as "
		 "\",\", \";\" or "
		 "\"\\t\", no letter, digit or quote"},
		{ORDERS("    amount: a\n    date_format: '%s'\n    decimal_mark: ;\n"),
		 "p.yaml:9: order_mappings[0].decimal_mark: ';' is no decimal mark; expected \".\" or \",\""},
		{ORDERS("    amount: a\n    date_format: '%s'\n    timezone: Mars/Base\n"),
		 "p.yaml:9: order_mappings[0].timezone: no time zone 'Mars/Base' in /usr/share/zoneinfo; expected an "
		 "IANA name such "
		 "as Asia/Bangkok or UTC"},
		{ORDERS("    amount: ''\n    date_format: '%s'\n"),
		 "p.yaml:7: order_mappings[0].amount: '' is empty; expected the name of a column"},
		{ORDERS("    amount: a\n    date_format: '%s'\n  - {name: pos, event_id: [i], customer: c, date: d, "
			"date_format: '%s', amount: a}\n"),
		 "p.yaml:9: order_mappings[1].name: 'pos' is there twice, first in line 3; expected another name"},
		{"version: 1\norder_mappings:\n  - {name: classic, event_id: [i], customer: c, date: d, date_format: "
		 "'%s', amount: a}\n",
		 "p.yaml:3: order_mappings[0].name: 'classic' is the name of a built-in format; expected another "
		 "name"},
		{"version: 1\norder_mappings:\n  - {name: ndjson, event_id: [i], customer: c, date: d, date_format: "
		 "'%s', amount: a}\n",
		 "p.yaml:3: order_mappings[0].name: 'ndjson' is the name of a built-in format; expected another "
		 "name"},
		{"version: 1\norder_mappings:\n  - {name: a, event_id: [], customer: c, date: d, date_format: '%s', "
		 "amount: a}\n",
		 "p.yaml:3: order_mappings[0].event_id: this list has too few items; expected a list of 1 to 8 "
		 "columns, such as "
		 "[receipt_no, date]"},
		{"version: 1\norder_mappings:\n  - {name: a, event_id: [a,b,c,d,e,f,g,h,i], customer: c, date: d, "
		 "date_format: '%s', amount: a}\n",
		 "p.yaml:3: order_mappings[0].event_id: this list has too many items; expected a list of 1 to 8 "
		 "columns, such as "
		 "[receipt_no, date]"},
		{"version: 1\norder_mappings:\n  - {name: a, event_id: id, customer: c, date: d, date_format: '%s', "
		 "amount: a}\n",
		 "p.yaml:3: order_mappings[0].event_id: this is no list; expected a list of 1 to 8 columns, such as "
		 "[receipt_no, "
		 "date]"},
		{"version: 1\norder_mappings:\n  - name: a\n    event_id:\n      - id\n      - id\n    customer: c\n   "
		 " date: d\n"
		 "    date_format: '%s'\n    amount: a\n",
		 "p.yaml:6: order_mappings[0].event_id[1]: column 'id' is there twice; expected each once"},
		{"version: 1\norder_mappings:\n  - name: a\n    event_id: [id]\n    date: d\n    date_format: '%s'\n   "
		 " amount: a\n",
		 "p.yaml:3: order_mappings[0].customer: this key is missing; expected the name of a column in the "
		 "file's first "
		 "line"},
	};
	assert_all_refused(CASES, N(CASES));
}

static void test_customer_mappings(void **state)
{
	(void)state;
	static const struct refusal CASES[] = {
		{"version: 1\ncustomer_mappings:\n  - name: club\n",
		 "p.yaml:3: customer_mappings[0].customer: this key is missing; expected the name of a column in the "
		 "file's first "
		 "line"},
		{"version: 1\ncustomers:\n  format: clubb\ncustomer_mappings:\n  - {name: club, customer: c}\n",
		 "p.yaml:3: customers.format: 'clubb' is no format; expected classic or a customer mapping (club)"},
		{"version: 1\ncustomers:\n  format: club\n",
		 "p.yaml:3: customers.format: 'club' is no format; expected classic (there is no customer mapping in "
		 "this file)"},
		{MEMBERS("    full_name: n\n    last_name: l\n"),
		 "p.yaml:5: customer_mappings[0].full_name: it is there beside first_name or last_name; expected "
		 "either the whole "
		 "name or its parts"},
		{MEMBERS("    date_format: '%s'\n"), "p.yaml:5: customer_mappings[0].date_format: '%s' is no date of a "
						     "calendar; expected a format such as \"%d/%m/%Y\""},
		{MEMBERS("    date_format: '%Y'\n"), "p.yaml:5: customer_mappings[0].date_format: '%Y' has a part of a "
						     "date only; a date is a year (%Y or %y), a month "
						     "(%m or %b) and a day (%d)"},
		{MEMBERS("    gender_codes: {male: [m]}\n"), "p.yaml:5: customer_mappings[0].gender_codes: there is no "
							     "column for them; expected the key gender beside it"},
		{MEMBERS("    gender: g\n    gender_codes:\n      male: [m]\n      female: [f, m]\n"),
		 "p.yaml:8: customer_mappings[0].gender_codes.female[1]: 'm' is a code of male too; expected each code "
		 "in one list"},
		{MEMBERS("    gender: g\n    gender_codes: {female: [M]}\n"),
		 "p.yaml:6: customer_mappings[0].gender_codes.female[0]: 'M' is a code of male too (its default); "
		 "expected each code "
		 "in one list"},
		{MEMBERS("    card: ''\n"),
		 "p.yaml:5: customer_mappings[0].card: '' is empty; expected the name of a column"},
		{MEMBERS("    delimiter: \"\\\"\"\n"), "p.yaml:5: customer_mappings[0].delimiter: '\"' is no "
						       "delimiter; expected one ASCII character such as \",\", \";\" "
						       "or \"\\t\", no letter, digit or quote"},
		{MEMBERS("  - {name: club, customer: c}\n"),
		 "p.yaml:5: customer_mappings[1].name: 'club' is there twice, first in line 3; expected another name"},
	};
	assert_all_refused(CASES, N(CASES));
}

static void test_menu(void **state)
{
	(void)state;
	static const struct refusal CASES[] = {
		{"version: 1\nmenu:\n  - {name: a, price: free}\n",
		 "p.yaml:3: menu[0].price: 'free' is no price; expected 0 or more with at most two decimals, such as "
		 "65 or 2.50"},
		{"version: 1\nmenu:\n  - {name: a, price: -1}\n",
		 "p.yaml:3: menu[0].price: '-1' is no price; expected 0 or more with at most two decimals, such as 65 "
		 "or 2.50"},
		{"version: 1\nmenu:\n  - {name: a, price: 1.999}\n",
		 "p.yaml:3: menu[0].price: '1.999' is no price; expected 0 or more with at most two decimals, such as "
		 "65 or 2.50"},
		{"version: 1\nmenu:\n  - {name: a, price: 1}\n  - {name: a, price: 2}\n",
		 "p.yaml:4: menu[1].name: 'a' is there twice, first in line 3; expected another name"},
		{"version: 1\nmenu:\n  - {name: 'a|b', price: 1}\n",
		 "p.yaml:3: menu[0].name: 'a|b' is no name of an item; expected text without '|' and without blanks at "
		 "its ends"},
		{"version: 1\nmenu:\n  - {name: ' a', price: 1}\n",
		 "p.yaml:3: menu[0].name: ' a' is no name of an item; expected text without '|' and without blanks at "
		 "its ends"},
	};
	assert_all_refused(CASES, N(CASES));
}

static void test_long_values_are_shown_cut(void **state)
{
	(void)state;
	_cleanup_buf_ struct buf text = {0};
	assert_int_equal(buf_append_text(&text, "version: 1\nmenu:\n  - {price: 1, name: "), 0);
	for (int i = 0; i < 300; i++)
		assert_int_equal(buf_append_text(&text, "é"), 0);
	assert_int_equal(buf_append_text(&text, "}\n"), 0);
	struct config *config = NULL;
	struct error err = {0};
	assert_int_equal(config_parse("p.yaml", text.data, text.len, &config, &err), ERROR_CONFIG);
	assert_non_null(strstr(err.message, "ééé…' is longer than 256 bytes; expected what the till calls it"));

	buf_clear(&text);
	for (int i = 0; i < 500; i++)
		assert_int_equal(buf_append_text(&text, "x"), 0);
	assert_int_equal(buf_append_text(&text, ": 1\n"), 0);
	assert_int_equal(config_parse("p.yaml", text.data, text.len, &config, &err), ERROR_CONFIG);
	assert_non_null(strstr(err.message, "xxx…: this key is unknown; expected one of version, customer_id"));
}

static void test_files(void **state)
{
	(void)state;
	struct config *config = NULL;
	struct error err = {0};
	assert_int_equal(config_load("/nonexistent/p.yaml", &config, &err), ERROR_NOT_FOUND);
	assert_string_equal(err.message, "cannot open /nonexistent/p.yaml: No such file or directory");
	assert_int_equal(config_load("/tmp", &config, &err), ERROR_CONFIG);
	assert_string_equal(err.message, "/tmp is no regular file");
	assert_int_equal(config_load("/dev/zero", &config, &err), ERROR_CONFIG);
	assert_null(config);
}

/* The schema in use, key by key: each has a rule that says what is expected. */
static void assert_rules(const cyaml_schema_value_t *schema, const struct yamldoc_rule *rules, const char *path)
{
	if (*path) {
		bool found = false;
		for (const struct yamldoc_rule *rule = rules; rule->key && !found; rule++)
			found = strcmp(rule->key, path) == 0 && rule->expected;
		if (!found)
			fail_msg("no rule for %s", path);
	}
	char below[256];
	if (schema->type == CYAML_SEQUENCE) {
		snprintf(below, sizeof(below), "%s[]", path);
		assert_rules(schema->sequence.entry, rules, below);
	}
	if (schema->type == CYAML_MAPPING) {
		for (const cyaml_schema_field_t *field = schema->mapping.fields; field->key; field++) {
			snprintf(below, sizeof(below), "%s%s%s", path, *path ? "." : "", field->key);
			assert_rules(&field->value, rules, below);
		}
	}
}

static void test_every_key_has_a_rule(void **state)
{
	(void)state;
	assert_rules(&CONFIG_SCHEMA, CONFIG_RULES, "");
	assert_rules(&PROGRAMME_SCHEMA, PROGRAMME_RULES, "");
}

/* Every key stands in the template, and those that are commented out are right when the '#' is taken away. */
static void assert_documented(const cyaml_schema_value_t *schema, const char *text)
{
	if (schema->type == CYAML_SEQUENCE)
		assert_documented(schema->sequence.entry, text);
	if (schema->type != CYAML_MAPPING)
		return;
	for (const cyaml_schema_field_t *field = schema->mapping.fields; field->key; field++) {
		char key[64];
		snprintf(key, sizeof(key), "%s:", field->key);
		/* first_name and last_name are named beside full_name. */
		key[strlen(key) - (strstr(field->key, "t_name") ? 1 : 0)] = '\0';
		if (!strstr(text, key))
			fail_msg("%s is not in the template", key);
		assert_documented(&field->value, text);
	}
}

static bool is_commented_key(const char *line)
{
	line += strspn(line, " ");
	if (*line++ != '#')
		return false;
	line += strspn(line, " ");
	if (line[0] == '-' && line[1] == ' ')
		line += 2;
	const size_t len = strspn(line, "abcdefghijklmnopqrstuvwxyz_");
	return len > 0 && line[len] == ':' && strncmp(line, "move_to", len) != 0;
}

static void test_template(void **state)
{
	(void)state;
	_cleanup_buf_ struct buf template = {0};
	assert_int_equal(file_read_all(PUNCHCARD_SOURCE_DIR "/templates/punchcard.yaml", 1u << 20, &template, NULL), 0);
	const char *const text = buf_text(&template);
	assert_non_null(text);
	assert_documented(&CONFIG_SCHEMA, text);
	struct config *const plain = parse(text);
	assert_int_equal(plain->n_sources, 1);
	assert_string_equal(plain->sources[0].dir, "spool");
	assert_int_equal(plain->n_menu, 6);
	assert_string_equal(plain->menu[1].name, "cappucino");
	assert_int_equal(plain->menu[1].price_minor, 9000);

	_cleanup_buf_ struct buf uncommented = {0};
	unsigned n_uncommented = 0;
	for (const char *line = text; *line;) {
		const size_t len = strcspn(line, "\n") + 1;
		const char *const mark = is_commented_key(line) ? strchr(line, '#') : NULL;
		if (mark) {
			assert_int_equal(buf_append(&uncommented, line, (size_t)(mark - line)), 0);
			assert_int_equal(buf_append(&uncommented, mark + 1, len - (size_t)(mark - line) - 1), 0);
			n_uncommented++;
		} else {
			assert_int_equal(buf_append(&uncommented, line, len), 0);
		}
		line += len;
	}
	assert_true(n_uncommented > 40);
	struct config *const full = parse(buf_text(&uncommented));
	/* What stands there as default is the default. */
	assert_int_equal(full->customer_id, plain->customer_id);
	assert_string_equal(full->customer_format, plain->customer_format);
	assert_string_equal(full->sources[0].pattern, plain->sources[0].pattern);
	assert_int_equal(full->sources[0].when_done, plain->sources[0].when_done);
	assert_string_equal(full->sources[0].suffix, plain->sources[0].suffix);
	assert_int_equal(full->sources[0].settle_ms, plain->sources[0].settle_ms);
	assert_int_equal(full->future_limit_h, plain->future_limit_h);
	assert_int_equal(full->journal_map_gib, plain->journal_map_gib);
	assert_int_equal(full->journal_retention_h, plain->journal_retention_h);
	assert_int_equal(full->journal_backlog_mib, plain->journal_backlog_mib);
	assert_int_equal(full->table_max_delay_s, plain->table_max_delay_s);
	assert_int_equal(full->table_max_rows, plain->table_max_rows);
	assert_int_equal(full->view_map_gib, plain->view_map_gib);
	assert_int_equal(full->view_max_delay_ms, plain->view_max_delay_ms);
	assert_int_equal(full->sources[0].scan_s, plain->sources[0].scan_s);
	assert_int_equal(full->sources[0].type, plain->sources[0].type);
	assert_int_equal(full->n_sources, 7);
	assert_int_equal(full->engine_memory_mib, plain->engine_memory_mib);
	assert_int_equal(full->engine_threads, plain->engine_threads);
	assert_int_equal(full->n_order_mappings, 1);
	assert_int_equal(full->n_customer_mappings, 1);
	config_free(full);
	config_free(plain);
}

/* Where the check before it is silent, libcyaml's own complaint still comes with file and line. */
static void test_complaints_of_libcyaml(void **state)
{
	(void)state;
	struct small {
		uint8_t number;
	};
	static const cyaml_schema_field_t FIELDS[] = {
		CYAML_FIELD_UINT("number", CYAML_FLAG_DEFAULT, struct small, number), CYAML_FIELD_END};
	static const cyaml_schema_value_t SCHEMA = {CYAML_VALUE_MAPPING(CYAML_FLAG_POINTER, struct small, FIELDS)};
	static const struct yamldoc_rule RULES[] = {{0}};
	struct yamldoc file = {0};
	struct error err = {0};
	void *data = NULL;
	assert_int_equal(yamldoc_parse("p.yaml", "\n\nnumber: 300\n", 14, &file, &err), 0);
	assert_int_equal(yamldoc_load(&file, &SCHEMA, RULES, &data, &err), ERROR_CONFIG);
	assert_string_equal(err.message, "p.yaml:3: Invalid value: Invalid UINT value: '300'");
	assert_null(data);
	yamldoc_close(&file);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_defaults),       cmocka_unit_test(test_values),
		cmocka_unit_test(test_least_file),     cmocka_unit_test(test_files_that_are_no_configuration),
		cmocka_unit_test(test_keys),           cmocka_unit_test(test_numbers),
		cmocka_unit_test(test_sources),        cmocka_unit_test(test_types_of_sources),
		cmocka_unit_test(test_order_mappings), cmocka_unit_test(test_customer_mappings),
		cmocka_unit_test(test_menu),           cmocka_unit_test(test_long_values_are_shown_cut),
		cmocka_unit_test(test_files),          cmocka_unit_test(test_every_key_has_a_rule),
		cmocka_unit_test(test_template),       cmocka_unit_test(test_complaints_of_libcyaml),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
