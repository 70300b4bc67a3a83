/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * A clock that does not run: each read works out what it would show now. Runs on whichever thread
 * holds the machine's lock. It may not know which host clock that is, nor how the next event is
 * waited for. Section and table numbers are those of the MC146818A data sheet.
 */
#include <string.h>
#include <time.h>

#include "devices/platform/rtc_cmos.h"

#define NS_PER_S    1000000000
#define S_PER_DAY   86400
#define SECONDS_MAX 8000000000 /* 2223: leaves room below INT64_MAX nanoseconds for the offset */

/* Address map */
enum {
	SECONDS = 0x00,
	SECONDS_ALARM = 0x01,
	MINUTES = 0x02,
	MINUTES_ALARM = 0x03,
	HOURS = 0x04,
	HOURS_ALARM = 0x05,
	WEEKDAY = 0x06,
	MONTHDAY = 0x07,
	MONTH = 0x08,
	YEAR = 0x09,
	REG_A = 0x0a,
	REG_B = 0x0b,
	REG_C = 0x0c,
	REG_D = 0x0d,
	CENTURY = RTC_FADT_CENTURY,
};

#define A_UIP          0x80
#define A_DIVIDER      0x70
#define A_DIV_RESET    0x60 /* 110 and 111 */
#define A_DEFAULT      0x26 /* 32768 Hz, 1024 Hz */

#define B_SET          0x80
#define B_PIE          0x40
#define B_AIE          0x20
#define B_UIE          0x10
#define B_SQWE         0x08
#define B_24H          0x02
#define B_KEPT         (B_SET | B_PIE | B_AIE | B_UIE | B_SQWE)

/* The flags in C have the places that their enable bits have in B. */
#define C_IRQF         0x80
#define C_AF           0x20
#define C_UF           0x10

#define D_VRT          0x80

/* UIP rises this long before the time changes, so that a reader is never cut in two. */
#define UIP_NS         244000

/* The divider's first update comes half a second after its reset ends. */
#define DIV_RELEASE_NS (NS_PER_S / 2)

#define ALARM_ANY      0xc0 /* from here on: any value matches */

static uint8_t to_bcd(int n)
{
	return (uint8_t)(n / 10 % 10 << 4 | n % 10);
}

static int from_bcd(uint8_t v)
{
	return (v >> 4) * 10 + (v & 15);
}

static int64_t guest_ns(const struct rtc_cmos *rtc)
{
	int64_t ns = rtc->now_ns(rtc->arg) + rtc->s.offset_ns;

	return ns < 0 ? 0 : ns;
}

/* Writes the time of day and date of @seconds to the registers. */
static void time_to_regs(struct rtc_state *s, int64_t seconds)
{
	time_t t = seconds;
	struct tm tm;

	gmtime_r(&t, &tm);
	s->cmos[SECONDS] = to_bcd(tm.tm_sec);
	s->cmos[MINUTES] = to_bcd(tm.tm_min);
	s->cmos[HOURS] = to_bcd(tm.tm_hour);
	s->cmos[WEEKDAY] = (uint8_t)(tm.tm_wday + 1);
	s->cmos[MONTHDAY] = to_bcd(tm.tm_mday);
	s->cmos[MONTH] = to_bcd(tm.tm_mon + 1);
	s->cmos[YEAR] = to_bcd(tm.tm_year % 100);
	s->cmos[CENTURY] = to_bcd((tm.tm_year + 1900) / 100);
}

/* The other way. Nonsense that a guest writes is carried over as mktime() does. */
static int64_t regs_to_time(const struct rtc_state *s)
{
	struct tm tm = {
		.tm_sec = from_bcd(s->cmos[SECONDS]),
		.tm_min = from_bcd(s->cmos[MINUTES]),
		.tm_hour = from_bcd(s->cmos[HOURS]),
		.tm_mday = from_bcd(s->cmos[MONTHDAY]),
		.tm_mon = from_bcd(s->cmos[MONTH]) - 1,
		.tm_year = from_bcd(s->cmos[CENTURY]) * 100 + from_bcd(s->cmos[YEAR]) - 1900,
	};
	int64_t t = timegm(&tm);

	return t < 0 ? 0 : t > SECONDS_MAX ? SECONDS_MAX : t;
}

static int matches(uint8_t alarm, int now)
{
	return alarm >= ALARM_ANY || alarm == to_bcd(now);
}

/* The first second after @after at which the alarm goes, or RTC_NO_EVENT. */
static int64_t next_alarm(const struct rtc_state *s, int64_t after)
{
	int64_t from = after + 1, minute = from / 60;
	int second = (int)(from % 60), any = 0;

	/* Before a whole day is looked through for it. */
	while (any < 60 && !matches(s->cmos[SECONDS_ALARM], any))
		any++;
	if (any == 60)
		return RTC_NO_EVENT;
	for (int i = 0; i <= S_PER_DAY / 60; i++, minute++, second = 0) {
		if (!matches(s->cmos[HOURS_ALARM], (int)(minute / 60 % 24)) ||
		    !matches(s->cmos[MINUTES_ALARM], (int)(minute % 60)))
			continue;
		for (; second < 60; second++)
			if (matches(s->cmos[SECONDS_ALARM], second))
				return minute * 60 + second;
	}
	return RTC_NO_EVENT;
}

static void update_irq(struct rtc_cmos *rtc)
{
	uint8_t *cmos = rtc->s.cmos;
	int level = (cmos[REG_B] & cmos[REG_C] & (C_AF | C_UF)) != 0;

	cmos[REG_C] = (cmos[REG_C] & ~C_IRQF) | (level ? C_IRQF : 0);
	if (level != rtc->irq_level) {
		rtc->irq_level = level;
		irq_set(rtc->irq, level);
	}
}

/* Sets the flags of what happened since the last look. */
static void catch_up(struct rtc_cmos *rtc)
{
	struct rtc_state *s = &rtc->s;
	int64_t now;

	if (s->stopped)
		return;
	now = guest_ns(rtc) / NS_PER_S;
	if (now > s->seen_s) {
		s->cmos[REG_C] |= C_UF;
		if (!(s->cmos[REG_C] & C_AF) && next_alarm(s, s->seen_s) <= now)
			s->cmos[REG_C] |= C_AF;
	}
	s->seen_s = now; /* also when the host's clock was set back */
	update_irq(rtc);
}

static void stop(struct rtc_cmos *rtc)
{
	struct rtc_state *s = &rtc->s;

	catch_up(rtc);
	s->stopped_ns = guest_ns(rtc);
	time_to_regs(s, s->stopped_ns / NS_PER_S);
	s->stopped = 1;
	s->div_reset = 0;
}

static void start(struct rtc_cmos *rtc)
{
	struct rtc_state *s = &rtc->s;
	int64_t phase = s->div_reset ? DIV_RELEASE_NS : s->stopped_ns % NS_PER_S;

	s->stopped = 0;
	s->seen_s = regs_to_time(s);
	s->offset_ns = s->seen_s * NS_PER_S + phase - rtc->now_ns(rtc->arg);
}

/* The clock stands still while SET is 1 or the divider is held in reset. */
static void control_write(struct rtc_cmos *rtc, uint8_t a, uint8_t b)
{
	struct rtc_state *s = &rtc->s;
	int reset = (a & A_DIV_RESET) == A_DIV_RESET;
	int hold = reset || (b & B_SET);

	catch_up(rtc);
	if (hold && !s->stopped)
		stop(rtc);
	if (reset)
		s->div_reset = 1;
	if (!hold && s->stopped)
		start(rtc);
	if (b & B_SET)
		b &= ~B_UIE;
	s->cmos[REG_A] = a & ~A_UIP;
	s->cmos[REG_B] = (b & B_KEPT) | B_24H;
	update_irq(rtc);
}

static int is_time(uint8_t index)
{
	return index == SECONDS || index == MINUTES || index == HOURS || index == CENTURY ||
	       (index >= WEEKDAY && index <= YEAR);
}

static uint8_t cmos_read(struct rtc_cmos *rtc, uint8_t index)
{
	struct rtc_state *s = &rtc->s;
	uint8_t value;

	if (index == REG_A && !s->stopped && guest_ns(rtc) % NS_PER_S >= NS_PER_S - UIP_NS)
		return s->cmos[REG_A] | A_UIP;
	if (is_time(index) && !s->stopped)
		time_to_regs(s, guest_ns(rtc) / NS_PER_S);
	if (index == REG_C)
		catch_up(rtc);
	value = s->cmos[index];
	if (index == REG_C) {
		s->cmos[REG_C] = 0;
		update_irq(rtc);
	}
	return value;
}

static void cmos_write(struct rtc_cmos *rtc, uint8_t index, uint8_t value)
{
	struct rtc_state *s = &rtc->s;
	int running = !s->stopped;

	switch (index) {
	case REG_A:
		control_write(rtc, value, s->cmos[REG_B]);
		return;
	case REG_B:
		control_write(rtc, s->cmos[REG_A], value);
		return;
	case REG_C:
	case REG_D:
		return;
	}
	if (running && is_time(index))
		stop(rtc);
	else
		catch_up(rtc); /* with the old alarm */
	s->cmos[index] = value;
	if (running && is_time(index))
		start(rtc);
}

/* Port 0x70 cannot be read on a PC. Its bit 7 gates NMIs there; nothing here raises any. */
static uint64_t rtc_read(void *dev, uint64_t off, unsigned size)
{
	struct rtc_cmos *rtc = dev;
	uint8_t value;

	if (off != 1 || size != 1)
		return UINT64_MAX;
	value = cmos_read(rtc, rtc->s.index);
	if (rtc->s.index == REG_C && rtc->rearm)
		rtc->rearm(rtc->arg);
	return value;
}

static void rtc_write(void *dev, uint64_t off, unsigned size, uint64_t value)
{
	struct rtc_cmos *rtc = dev;

	if (off == 0)
		rtc->s.index = value & (RTC_CMOS_LEN - 1);
	if (off == 0 && size == 1)
		return;
	cmos_write(rtc, rtc->s.index, (uint8_t)(off == 0 ? value >> 8 : value));
	if ((rtc->s.index <= REG_B || rtc->s.index == CENTURY) && rtc->rearm)
		rtc->rearm(rtc->arg);
}

const struct bus_ops rtc_cmos_ops = {.read = rtc_read, .write = rtc_write};

int64_t rtc_next_event(const struct rtc_cmos *rtc)
{
	const struct rtc_state *s = &rtc->s;
	int64_t next = RTC_NO_EVENT;

	/* While an interrupt waits for register C to be read, another would change nothing. */
	if (s->stopped || (s->cmos[REG_C] & C_IRQF))
		return RTC_NO_EVENT;
	if (s->cmos[REG_B] & B_AIE)
		next = next_alarm(s, s->seen_s);
	if (s->cmos[REG_B] & B_UIE && s->seen_s + 1 < next)
		next = s->seen_s + 1;
	return next == RTC_NO_EVENT ? next : next * NS_PER_S - s->offset_ns;
}

void rtc_tick(struct rtc_cmos *rtc)
{
	catch_up(rtc);
}

void rtc_reset(struct rtc_cmos *rtc)
{
	uint8_t *cmos = rtc->s.cmos;

	control_write(rtc, cmos[REG_A], cmos[REG_B] & ~(B_PIE | B_AIE | B_UIE | B_SQWE));
	cmos[REG_C] = 0;
	update_irq(rtc);
	if (rtc->rearm)
		rtc->rearm(rtc->arg);
}

void rtc_init(struct rtc_cmos *rtc, struct irq_line *irq, int64_t (*now_ns)(void *arg), void *arg)
{
	memset(rtc, 0, sizeof(*rtc));
	rtc->irq = irq;
	rtc->now_ns = now_ns;
	rtc->arg = arg;
	rtc->s.cmos[REG_A] = A_DEFAULT;
	rtc->s.cmos[REG_B] = B_24H;
	rtc->s.cmos[REG_D] = D_VRT;
	rtc->s.seen_s = guest_ns(rtc) / NS_PER_S;
}
