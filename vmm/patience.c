/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Patience is SCHED_BATCH: a thread that wakes up under it takes the processor from nobody
 * (sched(7)), at the same share of the time. Runs on the thread that it is about; knows nothing of
 * what that does.
 */
#include "vmm/patience.h"

#include <sched.h>

/* Finds of one piece: before a trial, which a trial lasts, before patience ends. */
#define IMPATIENT_FINDS 128
#define TRIAL_FINDS     3
#define PATIENT_FINDS   16

static void turn(struct patience *p, int patient, unsigned finds)
{
	struct sched_param param = {.sched_priority = 0};

	p->left = finds;
	if (p->patient == patient)
		return;
	if (sched_setscheduler(0, patient ? SCHED_BATCH : SCHED_OTHER, &param)) {
		p->allowed = 0;
		return;
	}
	p->patient = (uint8_t)patient;
	p->started += (unsigned)patient;
}

void patience_init(struct patience *p)
{
	*p = (struct patience){
		.allowed = sched_getscheduler(0) == SCHED_OTHER,
		.left = IMPATIENT_FINDS,
	};
}

void patience_found(struct patience *p, unsigned n)
{
	if (!p->allowed || !n)
		return;
	if (n > 1)
		turn(p, 1, PATIENT_FINDS);
	else if (--p->left == 0)
		turn(p, !p->patient, p->patient ? IMPATIENT_FINDS : TRIAL_FINDS);
}

void patience_end(struct patience *p)
{
	if (p->allowed)
		turn(p, 0, IMPATIENT_FINDS);
}
