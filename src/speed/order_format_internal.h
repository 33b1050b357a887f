/* Checks that every format of orders has in common. They return 0, or the enum quarantine_reason. */
#ifndef PUNCHCARD_SPEED_ORDER_FORMAT_INTERNAL_H
#define PUNCHCARD_SPEED_ORDER_FORMAT_INTERNAL_H

#include "loyalty/event.h"

/* Whether an event may have happened then. */
int order_check_time(int64_t time_us, int64_t latest_us);

/* Fills in the amount of a line that has a price, or the price of one that has an amount: exact, then rounded half away from
 * zero to the minor unit. The quantity is there, above 0, and what is there is within its limit. */
int order_complete_line(struct order_line *line, bool has_price, bool has_amount);

#endif
