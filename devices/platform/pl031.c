/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * The PL031's registers over the host's clock. Runs on whichever thread holds the machine's lock.
 * It reads time and has no timer of its own. Sections are those of ARM DDI 0224.
 */
#include <string.h>

#include "devices/platform/pl031.h"

#define NS_PER_S INT64_C(1000000000)

/* Offsets (§3.2, table 3-1). */
enum {
	DR = 0x00,
	MR = 0x04,
	LR = 0x08,
	CR = 0x0c,
	IMSC = 0x10,
	RIS = 0x14,
	MIS = 0x18,
	ICR = 0x1c,
	PERIPH_ID0 = 0xfe0,
};

/* §3.3.9, §3.3.10: part 0x031 of ARM's; then the cell ID. */
static const uint8_t id[8] = {0x31, 0x10, 0x04, 0x00, 0x0d, 0xf0, 0x05, 0xb1};

static uint32_t guest_seconds(const struct pl031 *rtc, int64_t now_ns)
{
	return (uint32_t)(now_ns / NS_PER_S) + rtc->s.offset;
}

static void update_irq(struct pl031 *rtc)
{
	int level = rtc->s.ris & rtc->s.imsc;

	if (level != rtc->irq_level) {
		rtc->irq_level = level;
		irq_set(rtc->irq, level);
	}
}

/* The raw interrupt comes when the counter reaches the match register; distances are modulo 2^32.
 */
static void catch_up(struct pl031 *rtc)
{
	struct pl031_state *s = &rtc->s;
	uint32_t now = guest_seconds(rtc, rtc->now_ns(rtc->arg));
	uint32_t passed = now - s->seen, due = s->match - s->seen;

	/* More than half way round is a host whose clock was set back. */
	if (passed <= INT32_MAX && due != 0 && due <= passed)
		s->ris = 1;
	s->seen = now;
}

static uint32_t reg_read(const struct pl031_state *s, uint64_t off)
{
	switch (off) {
	case DR:
		return s->seen;
	case MR:
		return s->match;
	case LR:
		return s->load;
	case CR:
		return 1; /* runs */
	case IMSC:
		return s->imsc;
	case RIS:
		return s->ris;
	case MIS:
		return s->ris & s->imsc;
	}
	return off >= PERIPH_ID0 ? id[(off - PERIPH_ID0) / 4] : 0;
}

static void reg_write(struct pl031_state *s, uint64_t off, uint32_t value)
{
	switch (off) {
	case MR:
		s->match = value;
		break;
	case LR:
		s->offset += value - s->seen;
		s->load = s->seen = value;
		break;
	case IMSC:
		s->imsc = value & 1;
		break;
	case ICR:
		if (value & 1)
			s->ris = 0;
		break;
	}
	if ((off == MR || off == LR) && s->match == s->seen)
		s->ris = 1;
}

static uint64_t pl031_read(void *dev, uint64_t off, unsigned size)
{
	struct pl031 *rtc = dev;

	(void)size;
	catch_up(rtc);
	update_irq(rtc);
	return reg_read(&rtc->s, off & ~3ull) >> 8 * (off & 3);
}

/* Registers are words: narrower writes are not for them. */
static void pl031_write(void *dev, uint64_t off, unsigned size, uint64_t value)
{
	struct pl031 *rtc = dev;

	if (size < 4 || off & 3)
		return;
	catch_up(rtc);
	reg_write(&rtc->s, off, (uint32_t)value);
	update_irq(rtc);
	if (rtc->rearm)
		rtc->rearm(rtc->arg);
}

const struct bus_ops pl031_ops = {.read = pl031_read, .write = pl031_write};

void pl031_reset(struct pl031 *rtc)
{
	rtc->s.match = rtc->s.load = 0;
	rtc->s.imsc = rtc->s.ris = 0;
	update_irq(rtc);
	if (rtc->rearm)
		rtc->rearm(rtc->arg);
}

void pl031_init(struct pl031 *rtc, struct irq_line *irq, int64_t (*now_ns)(void *arg), void *arg)
{
	memset(rtc, 0, sizeof(*rtc));
	rtc->irq = irq;
	rtc->now_ns = now_ns;
	rtc->arg = arg;
	rtc->s.seen = guest_seconds(rtc, now_ns(arg));
}

int64_t pl031_next_event(const struct pl031 *rtc)
{
	int64_t now = rtc->now_ns(rtc->arg);
	uint32_t due = rtc->s.match - guest_seconds(rtc, now);

	if (!rtc->s.imsc || rtc->s.ris || due == 0)
		return PL031_NO_EVENT;
	return now - now % NS_PER_S + due * NS_PER_S;
}

void pl031_tick(struct pl031 *rtc)
{
	catch_up(rtc);
	update_irq(rtc);
}
