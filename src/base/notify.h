/*
 * Telling the service manager how it goes (sd_notify(3), the protocol that systemd documents as stable): datagrams to the
 * socket that $NOTIFY_SOCKET names.
 *
 *     notify_send("READY=1\nSTATUS=3 sources");
 *
 * Without that variable nothing is sent. Errors are not told: nobody could act on them. Thread: any.
 */
#ifndef PUNCHCARD_BASE_NOTIFY_H
#define PUNCHCARD_BASE_NOTIFY_H

#include <stdint.h>

void notify_send(const char *state);
/* "RELOADING=1", with the time that the protocol wants; followed by READY=1 when it is done. */
void notify_reloading(void);
/* How often WATCHDOG=1 must be sent, in microseconds: half of what the manager waits for. 0: it does not wait for this process. */
int64_t notify_watchdog_us(void);

#endif
