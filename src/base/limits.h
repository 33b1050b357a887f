/*
 * Every limit of punchcard, with its reason. What is over a limit is quarantined or refused with its name; nothing is cut
 * silently.
 */
#ifndef PUNCHCARD_BASE_LIMITS_H
#define PUNCHCARD_BASE_LIMITS_H

#include <stdint.h>

/* One line (one CSV record) of input. Real lines are under 1 KiB; a longer one is a broken file, and holding more than
 * this in memory would let one bad file stop a shop. */
#define LIMIT_LINE_BYTES (1024u * 1024u)

/* What `quarantine.text` keeps of a line. The whole line stands in the landed or completed file. */
#define LIMIT_QUARANTINE_TEXT_BYTES (16u * 1024u)

/* Columns of a CSV record: more than any point-of-sale export has. */
#define LIMIT_CSV_COLUMNS 512u

/* Bytes of an event id (src/loyalty/event.h). */
#define LIMIT_EVENT_ID_BYTES 64u

/* Bytes of a customer id of type text: an LMDB key is at most 511 bytes, and no card number is longer. */
#define LIMIT_CUSTOMER_ID_BYTES 128u

/* Bytes of a sku, a menu item's name or a store's name. */
#define LIMIT_NAME_BYTES 256u

/* Bytes of a customer's name, e-mail address, card number or home store. An address has at most 320 bytes, and no name on
 * a card is longer; the customer view keeps them together in one record. */
#define LIMIT_CUSTOMER_TEXT_BYTES 512u

/* Lines of one order. A till's receipt has under 1,000; the bound keeps one event in memory. */
#define LIMIT_ORDER_LINES 10000u

/* Amounts, prices, and what one order comes to, in minor units: a billion of the currency. No till has more; and ten million
 * such orders of one customer still fit the sums of an account and DECIMAL(18,2), so that no line that was accepted can stop
 * the accounts. */
#define LIMIT_AMOUNT_MINOR INT64_C(100000000000)

/* What the greatest order may earn, in thousandths of a point: a programme that gives more is refused, since a thousand such
 * orders would no longer fit DECIMAL(18,3). */
#define LIMIT_POINTS_MILLI INT64_C(1000000000000000)

/* The greatest sum of an account (docs/programme.md, "Units"), and of DECIMAL(18, …). */
#define LIMIT_SUM INT64_C(999999999999999999)

/* Quantities in thousandths. */
#define LIMIT_QUANTITY_MILLI INT64_C(1000000000000)

/* Event times, UTC: from 1970-01-01 on and before 2200-01-01. Outside, a clock was wrong. */
#define LIMIT_TIME_MIN_S INT64_C(0)
#define LIMIT_TIME_MAX_S INT64_C(7258118400)

/* A path inside a deployment. */
#define LIMIT_PATH_BYTES 4096u

#endif
