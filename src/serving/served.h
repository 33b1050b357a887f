/*
 * Opening a deployment to answer out of it, also while programme.yaml cannot be read: a daemon then goes on with the programme
 * of before, and so do answers.
 *
 * Thread: any.
 */
#ifndef PUNCHCARD_SERVING_SERVED_H
#define PUNCHCARD_SERVING_SERVED_H

#include "config/deployment.h"

/* As deployment_open with DEPLOYMENT_READ. Where only programme.yaml is at fault, and the accounts were made by a programme that was kept
 * (data/programmes), that one takes its place: then 0, and *fault says what is wrong; else fault->code is 0. Not on a cluster. */
int served_open(const char *dir, const char *command, struct deployment **out, struct error *fault, struct error *err);

#endif
