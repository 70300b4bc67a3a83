/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * A keyboard controller with nothing attached: one byte of output and a command that may wait for
 * its data byte. Runs on the vCPU thread that makes the access, under the machine's lock. It may
 * not know what a reset of the machine is.
 */
#include <string.h>

#include "devices/platform/i8042.h"

/* Status, read from the command port. */
#define STATUS_OBF        0x01 /* port 0x60 has a byte */
#define STATUS_SYS        0x04 /* self test passed */
#define STATUS_UNLOCKED   0x10
#define STATUS_AUX        0x20 /* that byte is from the auxiliary port */

/* Commands. Those that take a data byte wait for it in @pending. */
#define CMD_READ_COMMAND  0x20
#define CMD_WRITE_COMMAND 0x60
#define CMD_AUX_TEST      0xa9
#define CMD_SELF_TEST     0xaa
#define CMD_KBD_TEST      0xab
#define CMD_READ_INPUT    0xc0
#define CMD_READ_OUTPUT   0xd0
#define CMD_WRITE_OUTPUT  0xd1
#define CMD_ECHO_KBD      0xd2
#define CMD_ECHO_AUX      0xd3
#define CMD_WRITE_AUX     0xd4
#define CMD_A20_OFF       0xdd
#define CMD_A20_ON        0xdf
#define CMD_PULSE         0xf0 /* to 0xff: the output bits that are 0 in the low half go low */

#define OUTPUT_RUN        0x01 /* 0: reset */
#define OUTPUT_A20        0x02

#define COMMAND_DEFAULT   0x30 /* both clocks off */
#define TEST_NO_CLOCK     0x01 /* a port test: the clock line is stuck low, nothing is there */
#define SELF_TEST_OK      0x55
#define RESEND            0xfe /* a device that did not understand: ends a driver's wait at once */

static void answer(struct i8042_state *s, uint8_t byte, uint8_t aux)
{
	s->data = byte;
	s->status = STATUS_OBF | aux;
}

static void pull_reset(struct i8042 *kbc)
{
	if (kbc->reset)
		kbc->reset(kbc->arg);
}

static void data_write(struct i8042 *kbc, uint8_t value)
{
	struct i8042_state *s = &kbc->s;
	uint8_t cmd = s->pending;

	s->pending = 0;
	switch (cmd) {
	case CMD_WRITE_COMMAND:
		s->command = value;
		break;
	case CMD_WRITE_OUTPUT:
		s->output = value | OUTPUT_RUN;
		if (!(value & OUTPUT_RUN))
			pull_reset(kbc);
		break;
	case CMD_ECHO_KBD:
		answer(s, value, 0);
		break;
	case CMD_ECHO_AUX:
		answer(s, value, STATUS_AUX);
		break;
	case CMD_WRITE_AUX:
		answer(s, RESEND, STATUS_AUX);
		break;
	default: /* for the keyboard */
		answer(s, RESEND, 0);
		break;
	}
}

static void cmd_write(struct i8042 *kbc, uint8_t cmd)
{
	struct i8042_state *s = &kbc->s;

	s->pending = 0;
	switch (cmd) {
	case CMD_READ_COMMAND:
		answer(s, s->command, 0);
		break;
	case CMD_SELF_TEST:
		s->command = COMMAND_DEFAULT;
		answer(s, SELF_TEST_OK, 0);
		break;
	case CMD_AUX_TEST:
	case CMD_KBD_TEST:
		answer(s, TEST_NO_CLOCK, 0);
		break;
	case CMD_READ_INPUT:
		answer(s, 0, 0);
		break;
	case CMD_READ_OUTPUT:
		answer(s, s->output, 0);
		break;
	case CMD_A20_OFF:
		s->output &= ~OUTPUT_A20;
		break;
	case CMD_A20_ON:
		s->output |= OUTPUT_A20;
		break;
	case CMD_WRITE_COMMAND:
	case CMD_WRITE_OUTPUT:
	case CMD_ECHO_KBD:
	case CMD_ECHO_AUX:
	case CMD_WRITE_AUX:
		s->pending = cmd;
		break;
	default:
		if (cmd >= CMD_PULSE && !(cmd & OUTPUT_RUN))
			pull_reset(kbc);
		break;
	}
}

static uint64_t i8042_data_read(void *dev, uint64_t off, unsigned size)
{
	struct i8042 *kbc = dev;

	(void)off, (void)size;
	kbc->s.status = 0;
	return kbc->s.data;
}

static void i8042_data_write(void *dev, uint64_t off, unsigned size, uint64_t value)
{
	(void)off, (void)size;
	data_write(dev, (uint8_t)value);
}

static uint64_t i8042_cmd_read(void *dev, uint64_t off, unsigned size)
{
	struct i8042 *kbc = dev;

	(void)off, (void)size;
	return kbc->s.status | STATUS_SYS | STATUS_UNLOCKED;
}

static void i8042_cmd_write(void *dev, uint64_t off, unsigned size, uint64_t value)
{
	(void)off, (void)size;
	cmd_write(dev, (uint8_t)value);
}

const struct bus_ops i8042_data_ops = {.read = i8042_data_read, .write = i8042_data_write};
const struct bus_ops i8042_cmd_ops = {.read = i8042_cmd_read, .write = i8042_cmd_write};

void i8042_reset(struct i8042 *kbc)
{
	kbc->s = (struct i8042_state){
		.command = COMMAND_DEFAULT,
		.output = OUTPUT_RUN | OUTPUT_A20,
	};
}

void i8042_init(struct i8042 *kbc)
{
	memset(kbc, 0, sizeof(*kbc));
	i8042_reset(kbc);
}
