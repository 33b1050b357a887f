/* What programme.yaml may not say, and the exact words of each refusal. */
#include "config/schema_internal.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>

#include <cmocka.h>

#define HEAD     "version: 1\nname: Club\ncurrency: USD\ntimezone: America/New_York\n"
#define EARN     "earn:\n  - per_amount: {points: 1, per: 10.00}\n"
#define SPEND    "tiers:\n  metric: spend\n  window: {rolling_months: 12}\n  levels:\n"
#define N(array) (sizeof(array) / sizeof((array)[0]))

static const struct {
	const char *text;
	const char *message; /* behind "r.yaml:" */
} CASES[] = {
	{"", "1: the file is empty; `punchcard init` in an empty directory writes one to start from"},
	{HEAD, "1: earn: this key is missing; expected a list of 1 to 64 rules, such as '- per_amount: {points: 1, "
	       "per: 10.00}'"},
	{HEAD "earn: []\n", "5: earn: this list has too few items; expected a list of 1 to 64 rules, such as '- "
			    "per_amount: {points: 1, per: 10.00}'"},
	{HEAD "earn:\n", "5: earn: this key has no value; expected a list of 1 to 64 rules, such as '- per_amount: "
			 "{points: 1, per: 10.00}'"},
	{HEAD "earn: {per_amount: {points: 1, per: 10.00}}\n",
	 "5: earn: this is no list; expected a list of 1 to 64 rules, such as '- per_amount: {points: 1, per: 10.00}'"},
	{HEAD "earn:\n  - per_friend: {points: 1}\n",
	 "6: earn[0].per_friend: this key is unknown; expected one of name, ledger, per_amount, per_step, per_visit, "
	 "per_item, from, until"},
	{HEAD "earn:\n  - per_amount: {points: 1}\n", "6: earn[0].per_amount.per: this key is missing; expected an "
						      "amount above 0 with at most two decimals, such as 10.00"},
	{HEAD "earn:\n  - name: base\n", "6: earn[0]: this rule does not say what earns; expected one of the keys "
					 "per_amount, per_step, per_visit and per_item"},
	{HEAD "earn:\n  - name: base\n    per_visit: {points: 1}\n    per_amount: {points: 1, per: 10.00}\n",
	 "7: earn[0].per_visit: the rule is of the kind per_amount already; expected one kind in a rule, and another "
	 "rule for the other"},
	{HEAD "earn:\n  - per_amount:\n      points: 1001\n      per: 1.00\n",
	 "7: earn[0].per_amount.points: '1001' does not fit: with the other rules of ledger 'points', and the greatest "
	 "multipliers of tiers and promotions, an order of 1000000000.00 could earn more than 1000000000000 points; "
	 "lower points or multipliers"},
	/* Of two versions the one that a promotion makes too much, though the other gives more. */
	{HEAD "earn:\n  - name: base\n    until: 2026-12-31\n    per_amount: {points: 9000, per: 10}\n"
	      "  - name: base\n    from: 2027-01-01\n    per_amount: {points: 5000, per: 10}\n"
	      "promotions:\n  - {name: x, multiplier: 3, from: 2027-01-01}\n",
	 "11: earn[1].per_amount.points: '5000' does not fit: with the other rules of ledger 'points', and the "
	 "greatest "
	 "multipliers of tiers and promotions, an order of 1000000000.00 could earn more than 1000000000000 points; "
	 "lower points or multipliers"},
	{HEAD "earn:\n  - per_amount:\n      points: 0\n      per: 10\n",
	 "7: earn[0].per_amount.points: '0' does not fit; expected a number above 0, at most 1000000, with at most "
	 "three decimals"},
	{HEAD "earn:\n  - per_amount:\n      points: 1.0001\n      per: 10\n",
	 "7: earn[0].per_amount.points: '1.0001' does not fit; expected a number above 0, at most 1000000, with at "
	 "most three decimals"},
	{HEAD "earn:\n  - per_amount:\n      points: 1000000.001\n      per: 10\n",
	 "7: earn[0].per_amount.points: '1000000.001' does not fit; expected a number above 0, at most 1000000, with "
	 "at most three decimals"},
	{HEAD "earn:\n  - per_amount:\n      points: -1\n      per: 10\n",
	 "7: earn[0].per_amount.points: '-1' does not fit; expected a number above 0, at most 1000000, with at most "
	 "three decimals"},
	{HEAD "earn:\n  - per_amount:\n      points: a\n      per: 10\n",
	 "7: earn[0].per_amount.points: 'a' does not fit; expected a number above 0, at most 1000000, with at most "
	 "three decimals"},
	{HEAD "earn:\n  - per_amount:\n      points: 1,5\n      per: 10\n",
	 "7: earn[0].per_amount.points: '1,5' does not fit; expected a number above 0, at most 1000000, with at most "
	 "three decimals"},
	{HEAD "earn:\n  - per_amount:\n      points: +\n      per: 10\n",
	 "7: earn[0].per_amount.points: '+' does not fit; expected a number above 0, at most 1000000, with at most "
	 "three decimals"},
	{HEAD "earn:\n  - per_amount:\n      points: 1\n      per: -10\n",
	 "8: earn[0].per_amount.per: '-10' does not fit; expected an amount above 0, at most 1000000000, with at most "
	 "two decimals"},
	{HEAD "earn:\n  - per_amount:\n      points: 1\n      per: 1e3\n",
	 "8: earn[0].per_amount.per: '1e3' does not fit; expected an amount above 0, at most 1000000000, with at most "
	 "two decimals"},
	{HEAD "earn:\n  - per_amount:\n      points: 1\n      per: 0.001\n",
	 "8: earn[0].per_amount.per: '0.001' does not fit; expected an amount above 0, at most 1000000000, with at "
	 "most two decimals"},
	{HEAD "earn:\n  - per_amount:\n      points: 1\n      per: 0\n",
	 "8: earn[0].per_amount.per: '0' does not fit; expected an amount above 0, at most 1000000000, with at most "
	 "two decimals"},
	{HEAD "earn:\n  - per_amount:\n      points: 1\n      per: 1000000000.01\n",
	 "8: earn[0].per_amount.per: '1000000000.01' does not fit; expected an amount above 0, at most 1000000000, "
	 "with at most two decimals"},
	{HEAD "earn:\n  - per_step: {points: 1, step: 0}\n",
	 "6: earn[0].per_step.step: '0' does not fit; expected an amount above 0, at most 1000000000, with at most two "
	 "decimals"},
	{HEAD "earn:\n  - per_step: {points: 1, per: 10}\n",
	 "6: earn[0].per_step.per: this key is unknown; expected one of points, step"},
	{HEAD "earn:\n  - per_step: {points: 11, step: 0.01}\n",
	 "6: earn[0].per_step.points: '11' does not fit: with the other rules of ledger 'points', and the greatest "
	 "multipliers of tiers and promotions, an order of 1000000000.00 could earn more than 1000000000000 points; "
	 "lower points or multipliers"},
	{HEAD "earn:\n  - per_visit: {points: 1, min: -1}\n",
	 "6: earn[0].per_visit.min: '-1' does not fit; expected an amount from 0 to 1000000000 with at most two "
	 "decimals"},
	{HEAD "earn:\n  - per_visit: {points: 1, min: 0.001}\n",
	 "6: earn[0].per_visit.min: '0.001' does not fit; expected an amount from 0 to 1000000000 with at most two "
	 "decimals"},
	{HEAD "earn:\n  - per_item: {points: 1}\n",
	 "6: earn[0].per_item: this names nothing that earns; expected items or categories, or both"},
	{HEAD "earn:\n  - per_item: {points: 1, items: []}\n",
	 "6: earn[0].per_item.items: this list has too few items; expected a list of skus or menu names, at least one"},
	{HEAD "earn:\n  - per_item: {points: 1, categories: []}\n",
	 "6: earn[0].per_item.categories: this list has too few items; expected a list of categories, at least one"},
	{HEAD "earn:\n  - per_item: {points: 1, items: ['']}\n",
	 "6: earn[0].per_item.items[0]: '' is no item; expected a sku, or a menu name where the till gives no sku"},
	{HEAD "earn:\n  - per_item: {points: 1, items: [latte, [mocha]]}\n",
	 "6: earn[0].per_item.items[1]: is a list; expected a sku, or a menu name where the till gives no sku"},
	{HEAD "earn:\n  - per_item: {points: 1, items: latte}\n",
	 "6: earn[0].per_item.items: this is no list; expected a list of skus or menu names, at least one"},
	{HEAD "earn:\n  - per_item: {points: 1, categories: [coffee]}\n",
	 "6: earn[0].per_item.categories[0]: 'coffee' is no category; expected the name of one in categories, and "
	 "there is none"},
	{HEAD "categories: [{name: tea, items: [green]}, {name: cake, items: [pie]}]\nearn:\n  - per_item:\n      "
	      "points: 1\n      categories:\n        - tea\n        - coffee\n",
	 "11: earn[0].per_item.categories[1]: 'coffee' is no category; expected one of categories: tea, cake"},
	{HEAD "earn:\n  - {name: Base, per_amount: {points: 1, per: 10}}\n",
	 "6: earn[0].name: 'Base' is no name; expected 1 to 32 bytes of a-z, 0-9, '_' and '-', such as points"},
	{HEAD "earn:\n  - {name: '', per_amount: {points: 1, per: 10}}\n",
	 "6: earn[0].name: '' is no name; expected 1 to 32 bytes of a-z, 0-9, '_' and '-', such as points"},
	{HEAD "earn:\n  - {name: a23456789012345678901234567890123, per_amount: {points: 1, per: 10}}\n",
	 "6: earn[0].name: 'a23456789012345678901234567890123' is no name; expected 1 to 32 bytes of a-z, 0-9, '_' and "
	 "'-', such as points"},
	{HEAD "earn:\n  - {ledger: stamps, per_amount: {points: 1, per: 10}}\n",
	 "6: earn[0].ledger: 'stamps' is no ledger; expected one of ledgers: points"},
	{HEAD "earn:\n  - per_amount: {points: 1, per: 10}\n    from: 2026-02-30\n",
	 "7: earn[0].from: '2026-02-30' is no day of the calendar; expected yyyy-mm-dd, such as 2026-01-31"},
	{HEAD "earn:\n  - per_amount: {points: 1, per: 10}\n    from: 2026-2-01\n",
	 "7: earn[0].from: '2026-2-01' is no day of the calendar; expected yyyy-mm-dd, such as 2026-01-31"},
	{HEAD "earn:\n  - per_amount: {points: 1, per: 10}\n    from: 01.02.2026\n",
	 "7: earn[0].from: '01.02.2026' is no day of the calendar; expected yyyy-mm-dd, such as 2026-01-31"},
	{HEAD "earn:\n  - per_amount: {points: 1, per: 10}\n    from: tomorrow\n",
	 "7: earn[0].from: 'tomorrow' is no day of the calendar; expected yyyy-mm-dd, such as 2026-01-31"},
	{HEAD "earn:\n  - per_amount: {points: 1, per: 10}\n    from: 0000-01-01\n",
	 "7: earn[0].from: '0000-01-01' is no day of the calendar; expected yyyy-mm-dd, such as 2026-01-31"},
	{HEAD "earn:\n  - per_amount: {points: 1, per: 10}\n    from: 2026-01-01T00:00:00Z\n",
	 "7: earn[0].from: '2026-01-01T00:00:00Z' is no day of the calendar; expected yyyy-mm-dd, such as 2026-01-31"},
	{HEAD "earn:\n  - per_amount: {points: 1, per: 10}\n    until: 2025-02-29\n",
	 "7: earn[0].until: '2025-02-29' is no day of the calendar; expected yyyy-mm-dd, such as 2026-01-31"},
	{HEAD "earn:\n  - per_amount: {points: 1, per: 10}\n    from: 2026-01-02\n    until: 2026-01-01\n",
	 "7: earn[0].from: '2026-01-02' is after until, 2026-01-01; expected the first and the last day, both "
	 "included"},
	{HEAD "earn:\n  - per_amount: {points: 1, per: 10}\n    name: base\n    until: 2026-06-30\n  - per_amount: "
	      "{points: 2, per: 10}\n    name: base\n    from: 2026-06-30\n",
	 "9: earn[1]: 'base' in line 9 and its version in line 6 are both in force (on 2026-06-30); expected from and "
	 "until that do not overlap, or another name"},
	{HEAD "earn:\n  - {name: base, per_amount: {points: 1, per: 10}}\n  - {name: other, per_visit: {points: 1}}\n  "
	      "- {name: base, per_visit: {points: 2}}\n",
	 "8: earn[2]: 'base' in line 8 and its version in line 6 are both in force (always); expected from and until "
	 "that do not overlap, or another name"},
	{HEAD "earn:\n  - {name: base, per_amount: {points: 2, per: 10}, from: 2026-03-01}\n  - {name: base, "
	      "per_amount: {points: 1, per: 10}, until: 2026-03-31}\n",
	 "7: earn[1]: 'base' in line 7 and its version in line 6 are both in force (on 2026-03-01); expected from and "
	 "until that do not overlap, or another name"},
	{HEAD "earn:\n  - {name: earn-2, per_amount: {points: 1, per: 10}}\n  - per_visit: {points: 1}\n",
	 "7: earn[1]: 'earn-2' in line 7 and its version in line 6 are both in force (always); expected from and until "
	 "that do not overlap, or another name"},
	{"version: 1\nname: a\ncurrency: usd\ntimezone: UTC\n" EARN,
	 "3: currency: 'usd' is no currency; expected an ISO 4217 code of three capitals, such as THB or USD"},
	{"version: 1\nname: a\ncurrency: DOLLAR\ntimezone: UTC\n" EARN,
	 "3: currency: 'DOLLAR' is no currency; expected an ISO 4217 code of three capitals, such as THB or USD"},
	{"version: 1\nname: a\ncurrency: KWD\ntimezone: UTC\n" EARN,
	 "3: currency: KWD has more than two decimals, and amounts are kept with two; expected a currency with at most "
	 "two decimals"},
	{"version: 1\nname: a\ncurrency: THB\ntimezone: Asia/Bankok\n" EARN,
	 "4: timezone: no time zone 'Asia/Bankok' in /usr/share/zoneinfo; expected an IANA name such as Asia/Bangkok "
	 "or UTC"},
	{"version: 1\nname: a\ncurrency: THB\ntimezone: ../../../etc/passwd\n" EARN,
	 "4: timezone: no time zone '../../../etc/passwd' in /usr/share/zoneinfo; expected an IANA name such as "
	 "Asia/Bangkok or UTC"},
	{"version: 1\nname: ''\ncurrency: THB\ntimezone: UTC\n" EARN,
	 "2: name: '' is empty; expected the programme's name"},
	{"version: 2\nname: a\ncurrency: THB\ntimezone: UTC\n" EARN,
	 "1: version: '2' is out of range; expected 1, the version of this file's layout"},
	{HEAD "rounding: up\n" EARN,
	 "5: rounding: 'up' is not one of its values; expected floor, half_up, half_even or ceil"},
	{HEAD "timezon: UTC\n" EARN,
	 "5: timezon: this key is unknown; did you mean 'timezone'? expected one of version, name, currency, timezone, "
	 "rounding, categories, exclude, ledgers, earn, promotions, tiers, rewards, segments, late"},
	{HEAD "categories:\n  - {name: tea, items: []}\n" EARN,
	 "6: categories[0].items: this list has too few items; expected a list of skus or menu names, at least one"},
	{HEAD "categories:\n  - {name: tea}\n" EARN,
	 "6: categories[0].items: this key is missing; expected a list of skus or menu names, at least one"},
	{HEAD "categories:\n  - {name: Tea time, items: [a]}\n" EARN,
	 "6: categories[0].name: 'Tea time' is no name; expected 1 to 32 bytes of a-z, 0-9, '_' and '-', such as "
	 "points"},
	{HEAD
	 "categories:\n  - {name: tea, items: [a]}\n  - {name: cake, items: [b]}\n  - {name: tea, items: [c]}\n" EARN,
	 "8: categories[2].name: 'tea' is there twice, first in line 6; expected another name"},
	{HEAD "categories:\n  - name: tea\n    items:\n      - green\n      - ''\n" EARN,
	 "9: categories[0].items[1]: '' is no item; expected a sku, or a menu name where the till gives no sku"},
	{HEAD "categories:\n  - {name: tea, items: [a]}\nexclude:\n  - tea\n  - cake\n" EARN,
	 "9: exclude[1]: 'cake' is no category; expected one of categories: tea"},
	{HEAD "exclude: [cake]\n" EARN,
	 "5: exclude[0]: 'cake' is no category; expected the name of one in categories, and there is none"},
	{HEAD "exclude: cake\n" EARN,
	 "5: exclude: this is no list; expected a list of categories, such as [gift-cards]"},
	{HEAD "ledgers: []\n" EARN,
	 "5: ledgers: this list has too few items; expected a list of 1 to 8 ledgers, each beginning with '- name:'"},
	{HEAD "ledgers:\n  - unit: stars\n" EARN,
	 "6: ledgers[0].name: this key is missing; expected a name of a-z, 0-9, '_' and '-', at most 32 bytes"},
	{HEAD "ledgers:\n  - name: Stars\n" EARN,
	 "6: ledgers[0].name: 'Stars' is no name; expected 1 to 32 bytes of a-z, 0-9, '_' and '-', such as points"},
	{HEAD "ledgers:\n  - {name: a}\n  - {name: b}\n  - {name: a}\n" EARN,
	 "8: ledgers[2].name: 'a' is there twice, first in line 6; expected another name"},
	{HEAD "ledgers:\n  - {name: l0}\n  - {name: l1}\n  - {name: l2}\n  - {name: l3}\n  - {name: l4}\n  - {name: "
	      "l5}\n  - {name: l6}\n  - {name: l7}\n  - {name: l8}\n" EARN,
	 "6: ledgers: this list has too many items; expected a list of 1 to 8 ledgers, each beginning with '- name:'"},
	{HEAD "ledgers:\n  - name: a\n    decimals: 4\n" EARN,
	 "7: ledgers[0].decimals: '4' is out of range; expected 0 to 3"},
	{HEAD "ledgers:\n  - name: a\n    decimals: 1.5\n" EARN,
	 "7: ledgers[0].decimals: '1.5' is no whole number; expected 0 to 3"},
	{HEAD "ledgers:\n  - name: a\n    unit: ' '\n" EARN,
	 "7: ledgers[0].unit: ' ' is no name; expected 1 to 64 bytes without blanks at the ends"},
	{HEAD "ledgers:\n  - name: a\n    rounding: down\n" EARN,
	 "7: ledgers[0].rounding: 'down' is not one of its values; expected floor, half_up, half_even or ceil"},
	{HEAD "ledgers:\n  - name: a\n    negative: allow\n" EARN,
	 "7: ledgers[0].negative: 'allow' is not one of its values; expected debt or forgive"},
	{HEAD "ledgers:\n  - name: a\n    expiry: never\n" EARN,
	 "7: ledgers[0].expiry: this is plain text; expected one of the keys days, months, months_after_month and "
	 "inactivity"},
	{HEAD "ledgers:\n  - name: a\n    expiry: {years: 1}\n" EARN,
	 "7: ledgers[0].expiry.years: this key is unknown; expected one of days, months, months_after_month, "
	 "inactivity"},
	{HEAD "ledgers:\n  - name: a\n    expiry: {months: 0}\n" EARN,
	 "7: ledgers[0].expiry.months: '0' is out of range; expected months, 1 to 1200"},
	{HEAD "ledgers:\n  - name: a\n    expiry: {months: 1201}\n" EARN,
	 "7: ledgers[0].expiry.months: '1201' is out of range; expected months, 1 to 1200"},
	{HEAD "ledgers:\n  - name: a\n    expiry: {days: 36501}\n" EARN,
	 "7: ledgers[0].expiry.days: '36501' is out of range; expected days, 1 to 36500"},
	{HEAD "ledgers:\n  - name: a\n    expiry:\n      months: 12\n      inactivity: 12\n" EARN,
	 "7: ledgers[0].expiry: this says more than one thing; expected one of the keys days, months, "
	 "months_after_month and inactivity"},
	{HEAD "ledgers:\n  - name: a\n    expiry: {}\n" EARN,
	 "7: ledgers[0].expiry: this says nothing; expected one of the keys days, months, months_after_month and "
	 "inactivity; leave the key expiry out for points that never expire"},
	{HEAD "ledgers:\n  - name: a\n    pending_days: -1\n" EARN,
	 "7: ledgers[0].pending_days: '-1' is out of range; expected days, 0 to 36500"},
	{HEAD "ledgers:\n  - name: a\n    expiry: {days: 14}\n    pending_days: 14\n" EARN,
	 "8: ledgers[0].pending_days: '14' is not shorter than the expiry, 14 days: no point could ever be spent; "
	 "expected fewer"},
	{HEAD "ledgers:\n  - name: a\n    max_per_order: 0\n" EARN,
	 "7: ledgers[0].max_per_order: '0' does not fit; expected points above 0 with at most three decimals"},
	{HEAD "ledgers:\n  - name: a\n    decimals: 2\n    max_per_order: 0.125\n" EARN,
	 "8: ledgers[0].max_per_order: '0.125' has more decimals than the ledger a; expected at most two decimals"},
	{HEAD "ledgers:\n  - name: a\n    decimals: 0\n    max_per_order: 2.5\n" EARN,
	 "8: ledgers[0].max_per_order: '2.5' has more decimals than the ledger a; expected whole points"},
	{HEAD "ledgers:\n  - name: a\n    value: 0\n" EARN, "7: ledgers[0].value: '0' does not fit; expected an amount "
							    "above 0, at most 1000000, with at most six decimals"},
	{HEAD "ledgers:\n  - name: a\n    value: 0.0000001\n" EARN,
	 "7: ledgers[0].value: '0.0000001' does not fit; expected an amount above 0, at most 1000000, with at most six "
	 "decimals"},
	{HEAD "ledgers: [{name: stamps, decimals: 0}]\nearn:\n  - per_visit: {points: 0.5}\n",
	 "7: earn[0].per_visit.points: '0.5' has more decimals than the ledger stamps; expected whole points"},
	{HEAD "ledgers: [{name: points}, {name: stamps, decimals: 1}]\nearn:\n  - ledger: stamps\n    per_visit:\n     "
	      " min: 5\n      points: 0.25\n",
	 "10: earn[0].per_visit.points: '0.25' has more decimals than the ledger stamps; expected at most one decimal"},
	{HEAD EARN "promotions:\n  - multiplier: 2\n",
	 "8: promotions[0].name: this key is missing; expected a name of a-z, 0-9, '_' and '-', at most 32 bytes"},
	{HEAD EARN "promotions:\n  - name: x\n", "8: promotions[0].multiplier: this key is missing; expected a number "
						 "above 0, at most 1000, with at most three decimals, such as 1.25"},
	{HEAD EARN "promotions:\n  - {name: x, multiplier: 0}\n",
	 "8: promotions[0].multiplier: '0' does not fit; expected a number above 0, at most 1000, with at most three "
	 "decimals"},
	{HEAD EARN "promotions:\n  - {name: x, multiplier: 1000.001}\n",
	 "8: promotions[0].multiplier: '1000.001' does not fit; expected a number above 0, at most 1000, with at most "
	 "three decimals"},
	{HEAD EARN "promotions:\n  - {name: x, multiplier: 1.0005}\n",
	 "8: promotions[0].multiplier: '1.0005' does not fit; expected a number above 0, at most 1000, with at most "
	 "three decimals"},
	{HEAD EARN "promotions:\n  - {name: x, multiplier: -2}\n",
	 "8: promotions[0].multiplier: '-2' does not fit; expected a number above 0, at most 1000, with at most three "
	 "decimals"},
	{HEAD EARN "promotions:\n  - {name: x, multiplier: 2x}\n",
	 "8: promotions[0].multiplier: '2x' does not fit; expected a number above 0, at most 1000, with at most three "
	 "decimals"},
	{HEAD EARN
	 "promotions:\n  - {name: x, multiplier: 2}\n  - {name: y, multiplier: 3}\n  - {name: x, multiplier: 4}\n",
	 "10: promotions[2].name: 'x' is there twice, first in line 8; expected another name"},
	{HEAD EARN "promotions:\n  - {name: x, multiplier: 2, weekdays: [tuesday]}\n",
	 "8: promotions[0].weekdays[0]: 'tuesday' is not one of its values; expected mon, tue, wed, thu, fri, sat or "
	 "sun"},
	{HEAD EARN "promotions:\n  - {name: x, multiplier: 2, weekdays: []}\n",
	 "8: promotions[0].weekdays: this list has too few items; expected a list of weekdays, such as [sat, sun]"},
	{HEAD EARN "promotions:\n  - {name: x, multiplier: 2, weekdays: tue}\n",
	 "8: promotions[0].weekdays: this is no list; expected a list of weekdays, such as [sat, sun]"},
	{HEAD EARN "promotions:\n  - {name: x, multiplier: 2, group: 'a b'}\n",
	 "8: promotions[0].group: 'a b' is no name; expected 1 to 32 bytes of a-z, 0-9, '_' and '-', such as points"},
	{HEAD EARN "promotions:\n  - {name: x, multiplier: 2, ledger: stamps}\n",
	 "8: promotions[0].ledger: 'stamps' is no ledger; expected one of ledgers: points"},
	{HEAD EARN "promotions:\n  - {name: x, multiplier: 2, min: -5}\n",
	 "8: promotions[0].min: '-5' does not fit; expected an amount from 0 to 1000000000 with at most two decimals"},
	{HEAD EARN "promotions:\n  - name: x\n    multiplier: 2\n    from: 2026-13-01\n",
	 "10: promotions[0].from: '2026-13-01' is no day of the calendar; expected yyyy-mm-dd, such as 2026-01-31"},
	{HEAD EARN "promotions:\n  - name: x\n    multiplier: 2\n    from: 2026-12-02\n    until: 2026-12-01\n",
	 "10: promotions[0].from: '2026-12-02' is after until, 2026-12-01; expected the first and the last day, both "
	 "included"},
	{HEAD "earn:\n  - per_visit: {points: 1}\n  - per_amount: {points: 1, per: 1.00}\npromotions:\n  - {name: x, "
	      "multiplier: 1000}\n  - {name: y, multiplier: 1.001}\n",
	 "7: earn[1].per_amount.points: '1' does not fit: with the other rules of ledger 'points', and the greatest "
	 "multipliers of tiers and promotions, an order of 1000000000.00 could earn more than 1000000000000 points; "
	 "lower points or multipliers"},
	{HEAD EARN
	 "promotions:\n  - {name: p0, multiplier: 999.999}\n  - {name: p1, multiplier: 999.999}\n  - {name: p2, "
	 "multiplier: 999.999}\n  - {name: p3, multiplier: 999.999}\n  - {name: p4, multiplier: 999.999}\n",
	 "11: promotions[3].multiplier: '999.999' does not fit: its multiplier and those of the other groups, "
	 "multiplied, do not fit 64 bits; use rounder numbers, or put promotions into one group"},
	{HEAD EARN "tiers: {}\n", "7: tiers.metric: this key is missing; expected spend, points_earned or visits"},
	{HEAD EARN "tiers:\n  metric: balance\n  window: {rolling_months: 12}\n  levels: [{name: a, threshold: 0}]\n",
	 "8: tiers.metric: 'balance' is not one of its values; expected spend, points_earned or visits"},
	{HEAD EARN "tiers:\n  metric: spend\n  levels: [{name: a, threshold: 0}]\n",
	 "8: tiers.window: this key is missing; expected {rolling_months: 12} or {calendar_year: true}"},
	{HEAD EARN "tiers:\n  metric: spend\n  window: {}\n  levels: [{name: a, threshold: 0}]\n",
	 "9: tiers.window: this says nothing; expected either {rolling_months: 12} or {calendar_year: true}"},
	{HEAD EARN "tiers:\n  metric: spend\n  window: {rolling_months: 12, calendar_year: true}\n  levels: [{name: a, "
		   "threshold: 0}]\n",
	 "9: tiers.window: this says more than one thing; expected either {rolling_months: 12} or {calendar_year: "
	 "true}"},
	{HEAD EARN "tiers:\n  metric: spend\n  window: {calendar_year: false}\n  levels: [{name: a, threshold: 0}]\n",
	 "9: tiers.window.calendar_year: 'false' is not one of its values; expected true, or no such line"},
	{HEAD EARN "tiers:\n  metric: spend\n  window: {rolling_months: 0}\n  levels: [{name: a, threshold: 0}]\n",
	 "9: tiers.window.rolling_months: '0' is out of range; expected months, 1 to 1200"},
	{HEAD EARN "tiers:\n  metric: spend\n  window: {rolling_months: 12}\n  levels: []\n",
	 "10: tiers.levels: this list has too few items; expected a list of 1 to 16 levels, such as '- {name: gold, "
	 "threshold: 5000}'"},
	{HEAD EARN "tiers:\n  metric: spend\n  window: {rolling_months: 12}\n  valid_months: 0\n  levels: [{name: a, "
		   "threshold: 0}]\n",
	 "10: tiers.valid_months: '0' is out of range; expected months, 1 to 1200"},
	{HEAD EARN "tiers:\n  metric: spend\n  window: {rolling_months: 12}\n  downgrade: never\n  levels: [{name: a, "
		   "threshold: 0}]\n",
	 "10: tiers.downgrade: 'never' is not one of its values; expected requalify, one_down or to_base"},
	{HEAD EARN SPEND "    - {name: base, threshold: 1}\n",
	 "11: tiers.levels[0].threshold: '1' is not 0; expected 0: the first level is where everybody begins"},
	{HEAD EARN SPEND
	 "    - {name: base, threshold: 0}\n    - {name: gold, threshold: 50}\n    - {name: black, threshold: 50.00}\n",
	 "13: tiers.levels[2].threshold: '50.00' is the threshold of the level before it, 'gold' in line 12; expected "
	 "more: levels ascend"},
	{HEAD EARN SPEND
	 "    - {name: base, threshold: 0}\n    - {name: gold, threshold: 50}\n    - {name: silver, threshold: 20}\n",
	 "13: tiers.levels[2].threshold: '20' is below that of the level before it, 'gold' in line 12; expected more: "
	 "levels ascend"},
	{HEAD EARN SPEND
	 "    - {name: base, threshold: 0}\n    - {name: gold, threshold: 50}\n    - {name: gold, threshold: 60}\n",
	 "13: tiers.levels[2].name: 'gold' is there twice, first in line 12; expected another name"},
	{HEAD EARN SPEND "    - {name: base, threshold: 0}\n    - {name: ' gold', threshold: 50}\n",
	 "12: tiers.levels[1].name: ' gold' is no name; expected 1 to 64 bytes without blanks at the ends"},
	{HEAD EARN SPEND "    - {name: base, threshold: 0}\n    - {name: gold, threshold: 50.005}\n",
	 "12: tiers.levels[1].threshold: '50.005' does not fit; expected an amount, at least 0, with at most two "
	 "decimals, as the metric is spend"},
	{HEAD EARN SPEND "    - {name: base, threshold: 0, multiplier: 0}\n",
	 "11: tiers.levels[0].multiplier: '0' does not fit; expected a number above 0, at most 1000, with at most "
	 "three decimals"},
	{HEAD EARN "tiers:\n  metric: visits\n  window: {rolling_months: 12}\n  levels:\n    - {name: base, threshold: "
		   "0}\n    - {name: gold, threshold: 2.5}\n",
	 "12: tiers.levels[1].threshold: '2.5' does not fit; expected a whole number of days, at least 0, as the "
	 "metric is visits"},
	{HEAD EARN "tiers:\n  metric: points_earned\n  window: {rolling_months: 12}\n  levels:\n    - {name: base, "
		   "threshold: 0}\n    - {name: gold, threshold: 2.0005}\n",
	 "12: tiers.levels[1].threshold: '2.0005' does not fit; expected points, at least 0, with at most three "
	 "decimals, as the metric is points_earned"},
	{HEAD "earn:\n  - per_amount: {points: 100, per: 1.00}\n" SPEND
	      "    - {name: base, threshold: 0}\n    - {name: gold, threshold: 50, multiplier: 10.1}\n",
	 "6: earn[0].per_amount.points: '100' does not fit: with the other rules of ledger 'points', and the greatest "
	 "multipliers of tiers and promotions, an order of 1000000000.00 could earn more than 1000000000000 points; "
	 "lower points or multipliers"},
	{HEAD EARN "rewards:\n  - id: coffee\n", "8: rewards[0].cost: this key is missing; expected points above 0 "
						 "with at most three decimals, such as 1 or 0.5"},
	{HEAD EARN "rewards:\n  - {id: '', cost: 10}\n",
	 "8: rewards[0].id: '' is no name; expected 1 to 64 bytes without blanks at the ends"},
	{HEAD EARN "rewards:\n  - {id: coffee, cost: 0}\n", "8: rewards[0].cost: '0' does not fit; expected a number "
							    "above 0, at most 1000000, with at most three decimals"},
	{HEAD EARN "rewards:\n  - {id: coffee, cost: 1000000.1}\n",
	 "8: rewards[0].cost: '1000000.1' does not fit; expected a number above 0, at most 1000000, with at most three "
	 "decimals"},
	{HEAD EARN "rewards:\n  - {id: coffee, cost: 10}\n  - {id: tea, cost: 10}\n  - {id: coffee, cost: 20}\n",
	 "10: rewards[2].id: 'coffee' is there twice, first in line 8; expected another name"},
	{HEAD EARN "rewards:\n  - {id: coffee, cost: 10, ledger: stamps}\n",
	 "8: rewards[0].ledger: 'stamps' is no ledger; expected one of ledgers: points"},
	{HEAD EARN "ledgers: [{name: points, decimals: 0}]\nrewards:\n  - {id: coffee, cost: 9.5}\n",
	 "9: rewards[0].cost: '9.5' has more decimals than the ledger points; expected whole points"},
	{HEAD EARN "segments: {window_months: 0}\n",
	 "7: segments.window_months: '0' is out of range; expected months, 1 to 1200"},
	{HEAD EARN "segments: 12\n", "7: segments: this is plain text; expected the key window_months below it"},
	{HEAD EARN "late: {days: 367}\n", "7: late.days: '367' is out of range; expected days, 0 to 366"},
	{HEAD EARN "late: {open_events: 0}\n",
	 "7: late.open_events: '0' is out of range; expected a number of events, 1 to 1024"},
	{HEAD EARN "late: {hours: 3}\n", "7: late.hours: this key is unknown; expected one of days, open_events"},
	{HEAD EARN "points: 3\n",
	 "7: points: this key is unknown; expected one of version, name, currency, timezone, rounding, categories, "
	 "exclude, ledgers, earn, promotions, tiers, rewards, segments, late"},
};

static void test_refusals(void **state)
{
	(void)state;
	for (size_t i = 0; i < N(CASES); i++) {
		struct programme *programme = NULL;
		struct error err = {0};
		char message[ERROR_MESSAGE_MAX];
		snprintf(message, sizeof(message), "r.yaml:%s", CASES[i].message);
		if (programme_parse("r.yaml", CASES[i].text, strlen(CASES[i].text), NULL, NULL, &programme, &err) !=
		    ERROR_CONFIG)
			fail_msg("not refused:\n%s", CASES[i].text);
		assert_string_equal(err.message, message);
		assert_null(programme);
	}
}

/* A list of more items than a programme may have, and more known names than a message can show. */
static void test_too_many(void **state)
{
	(void)state;
	_cleanup_buf_ struct buf text = {0};
	struct programme *programme = NULL;
	struct error err = {0};
	assert_int_equal(buf_append_text(&text, HEAD EARN "categories:\n"), 0);
	for (unsigned c = 0; c < 2; c++) {
		assert_int_equal(buf_printf(&text, "  - name: c%u\n    items: [", c), 0);
		for (unsigned i = 0; i < 50001; i++)
			assert_int_equal(buf_printf(&text, "%x,", c * 0x10000 + i), 0);
		assert_int_equal(buf_append_text(&text, "]\n"), 0);
	}
	assert_int_equal(programme_parse("r.yaml", text.data, text.len, NULL, NULL, &programme, &err), ERROR_CONFIG);
	assert_string_equal(err.message,
			    "r.yaml:7: categories: '100002' items are too many in categories and rules together; "
			    "expected at most 100000");

	buf_clear(&text);
	assert_int_equal(buf_append_text(&text, HEAD EARN "exclude: [tea]\ncategories:\n"), 0);
	for (unsigned c = 0; c < 64; c++)
		assert_int_equal(buf_printf(&text, "  - {name: category-%u, items: [a]}\n", c), 0);
	assert_int_equal(programme_parse("r.yaml", text.data, text.len, NULL, NULL, &programme, &err), ERROR_CONFIG);
	assert_non_null(strstr(err.message, "r.yaml:7: exclude[0]: 'tea' is no category; expected one of categories: "
					    "category-0, category-1, "));
	assert_non_null(strstr(err.message, ", …"));
	assert_null(programme);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_refusals),
		cmocka_unit_test(test_too_many),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
