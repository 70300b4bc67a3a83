/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * A vCPU thread whose KVM_RUN is this file's: each call puts the next exit of a script into the
 * run page. Judged is what reaches the buses and the machine, always with the lock held, and that
 * the thread ends when it is told to. The thread itself asserts nothing; main does after joining.
 */
#include <errno.h>
#include <fcntl.h>
#include <linux/kvm.h>
#include <pthread.h>
#include <sched.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/mman.h>
#include <unistd.h>

#include <cmocka.h>

#include "tests/lib/said.h"
#include "vmm/bus.h"
#include "vmm/kvm.h"
#include "vmm/loop.h"
#include "vmm/vcpu.h"

#define RUN_SIZE 8192
#define IO_DATA  4096 /* where KVM puts port data in the run page */
#define N(table) (sizeof(table) / sizeof((table)[0]))

/* --- the lock, KVM and the script ------------------------------------------------------------ */

static pthread_mutex_t lock = PTHREAD_MUTEX_INITIALIZER;
static int lock_held;
static unsigned unlocked_calls; /* device or machine called without the lock */

void loop_lock(struct loop *loop)
{
	(void)loop;
	pthread_mutex_lock(&lock);
	lock_held = 1;
}

void loop_unlock(struct loop *loop)
{
	(void)loop;
	lock_held = 0;
	pthread_mutex_unlock(&lock);
}

static int create_answer; /* 0: a run page; else what KVM_CREATE_VCPU answers */

int kvm_ioctl_value(int fd, unsigned long request, unsigned long arg)
{
	int page;

	assert_int_equal(fd, 500);
	assert_int_equal(request, KVM_CREATE_VCPU);
	assert_int_equal(arg, 3);
	if (create_answer)
		return create_answer;
	page = memfd_create("run", MFD_CLOEXEC);
	assert_true(page >= 0);
	assert_int_equal(ftruncate(page, RUN_SIZE), 0);
	return page;
}

/* The @n-th KVM_RUN: fills @run and returns 0, or returns an errno. */
static int (*script)(struct kvm_run *run, unsigned n);
static unsigned runs;
static struct kvm_run *run_page;

int ioctl(int fd, unsigned long request, ...)
{
	int err;

	(void)fd;
	if (request != KVM_RUN) {
		errno = ENOTTY;
		return -1;
	}
	err = script(run_page, runs++);
	errno = err;
	return err ? -1 : 0;
}

/* --- what the vCPU talks to ------------------------------------------------------------------ */

struct access {
	int is_write;
	uint64_t off;
	unsigned size;
	uint64_t value;
};

static struct access seen[64];
static unsigned n_seen;

static void see(struct access a)
{
	unlocked_calls += !lock_held;
	if (n_seen < N(seen))
		seen[n_seen++] = a;
}

/* Reads as f0, f1, f2 ... in every byte, one more for each read. */
static uint64_t dev_read(void *dev, uint64_t off, unsigned size)
{
	uint64_t value = (0xf0 + n_seen) * 0x0101010101010101ull;

	(void)dev;
	see((struct access){0, off, size, value});
	return value;
}

static void dev_write(void *dev, uint64_t off, unsigned size, uint64_t value)
{
	(void)dev;
	see((struct access){1, off, size, value});
}

static const struct bus_ops dev_ops = {dev_read, dev_write};

static struct bus pio, mmio;
static unsigned n_events;
static enum vcpu_event last_event;
static struct vcpu *event_vcpu;

static void on_event(void *arg, struct vcpu *vcpu, enum vcpu_event event)
{
	unlocked_calls += !lock_held || arg != &n_events;
	n_events++;
	last_event = event;
	event_vcpu = vcpu;
}

static const struct vcpu_env env = {&pio, &mmio, NULL, on_event, &n_events};
static const struct kvm kvm = {.fd = -1, .vm_fd = 500, .run_size = RUN_SIZE};
static struct vcpu vcpu;

static int start(void **state)
{
	(void)state;
	said_start();
	create_answer = 0;
	runs = n_seen = n_events = unlocked_calls = 0;
	memset(&pio, 0, sizeof(pio));
	memset(&mmio, 0, sizeof(mmio));
	if (bus_add(&pio, 0x3f8, 8, &dev_ops, NULL) ||
	    bus_add(&mmio, 0xd0000000, 0x1000, &dev_ops, NULL) || vcpu_setup_signal() ||
	    vcpu_create(&vcpu, &kvm, 3, &env))
		return -1;
	run_page = vcpu.run;
	return 0;
}

static int stop(void **state)
{
	(void)state;
	vcpu_destroy(&vcpu);
	return 0;
}

static void run_script(int (*fn)(struct kvm_run *run, unsigned n))
{
	script = fn;
	assert_int_equal(vcpu_start(&vcpu), 0);
	vcpu_join(&vcpu);
	assert_int_equal(unlocked_calls, 0);
}

static int end(struct kvm_run *run)
{
	run->exit_reason = KVM_EXIT_SHUTDOWN;
	return 0;
}

/* --- ports ----------------------------------------------------------------------------------- */

static void port_exit(struct kvm_run *run, int out, uint16_t port, uint8_t size, uint32_t count)
{
	run->exit_reason = KVM_EXIT_IO;
	run->io.direction = out ? KVM_EXIT_IO_OUT : KVM_EXIT_IO_IN;
	run->io.port = port;
	run->io.size = size;
	run->io.count = count;
	run->io.data_offset = IO_DATA;
}

static uint8_t *port_data(struct kvm_run *run)
{
	return (uint8_t *)run + IO_DATA;
}

static int port_out_script(struct kvm_run *run, unsigned n)
{
	static const struct {
		uint16_t port;
		uint8_t size;
		uint32_t count;
	} table[] = {{0x3f8, 1, 1}, {0x3f9, 2, 1}, {0x3fc, 4, 1}, {0x3f8, 2, 3}, {0x3fe, 4, 1}};

	if (n >= N(table))
		return end(run);
	memcpy(port_data(run), "\x11\x22\x33\x44\x55\x66\x77\x88", 8);
	port_exit(run, 1, table[n].port, table[n].size, table[n].count);
	return 0;
}

static void test_port_out(void **state)
{
	static const struct access expected[] = {
		{1, 0, 1, 0x11},   {1, 1, 2, 0x2211}, {1, 4, 4, 0x44332211},
		{1, 0, 2, 0x2211}, {1, 0, 2, 0x4433}, {1, 0, 2, 0x6655}, /* rep outsw */
	};

	(void)state;
	run_script(port_out_script);
	assert_int_equal(n_seen, N(expected)); /* the last one reached past the device */
	for (unsigned i = 0; i < n_seen; i++) {
		assert_int_equal(seen[i].is_write, 1);
		assert_int_equal(seen[i].off, expected[i].off);
		assert_int_equal(seen[i].size, expected[i].size);
		assert_int_equal(seen[i].value, expected[i].value);
	}
	assert_int_equal(vcpu.exits[VCPU_EXIT_IO], 5);
	assert_int_equal(vcpu.exits[VCPU_EXIT_MMIO], 0);
}

static uint8_t port_answer[4][16];

static int port_in_script(struct kvm_run *run, unsigned n)
{
	static const struct {
		uint16_t port;
		uint8_t size;
		uint32_t count;
	} table[] = {{0x3fd, 1, 1}, {0x3f8, 4, 2}, {0x2f8, 2, 2}};

	if (n > 0)
		memcpy(port_answer[n - 1], port_data(run), 16);
	if (n >= N(table))
		return end(run);
	memset(port_data(run), 0x5a, 16);
	port_exit(run, 0, table[n].port, table[n].size, table[n].count);
	return 0;
}

static void test_port_in(void **state)
{
	(void)state;
	run_script(port_in_script);
	/* Not a byte more than was asked for. */
	assert_memory_equal(port_answer[0], "\xf0\x5a\x5a\x5a\x5a", 5);
	assert_memory_equal(port_answer[1], "\xf1\xf1\xf1\xf1\xf2\xf2\xf2\xf2\x5a", 9);
	assert_memory_equal(port_answer[2], "\xff\xff\xff\xff\x5a", 5); /* nobody's */
	assert_int_equal(n_seen, 3);
}

/* --- memory ---------------------------------------------------------------------------------- */

static const struct {
	int is_write;
	uint64_t addr;
	uint32_t len;
	int reaches;
} mmio_table[] = {
	{1, 0xd0000000, 1, 1},
	{1, 0xd0000ffe, 2, 1},
	{1, 0xd0000004, 4, 1},
	{1, 0xd0000008, 8, 1},
	{0, 0xd0000010, 1, 1},
	{0, 0xd0000012, 2, 1},
	{0, 0xd0000014, 4, 1},
	{0, 0xd0000018, 8, 1},
	/* Halves of accesses that cross a page, and places where nothing is. */
	{0, 0xd0000000, 5, 0},
	{1, 0xd0000ffd, 3, 0},
	{0, 0xd0000ffe, 4, 0},
	{0, 0xcffffffe, 4, 0},
	{1, 0xd0001000, 4, 0},
	{0, UINT64_MAX, 8, 0},
};

static uint8_t mmio_answer[N(mmio_table)][8];

static int mmio_script(struct kvm_run *run, unsigned n)
{
	if (n > 0)
		memcpy(mmio_answer[n - 1], run->mmio.data, 8);
	if (n >= N(mmio_table))
		return end(run);
	run->exit_reason = KVM_EXIT_MMIO;
	run->mmio.phys_addr = mmio_table[n].addr;
	run->mmio.len = mmio_table[n].len;
	run->mmio.is_write = (uint8_t)mmio_table[n].is_write;
	memcpy(run->mmio.data, "\x11\x22\x33\x44\x55\x66\x77\x88", 8);
	return 0;
}

static void test_mmio(void **state)
{
	unsigned k = 0;

	(void)state;
	run_script(mmio_script);
	for (unsigned i = 0; i < N(mmio_table); i++) {
		unsigned len = mmio_table[i].len;
		uint64_t sent = 0x8877665544332211 & UINT64_MAX >> (64 - 8 * len), answer = 0;

		memcpy(&answer, mmio_answer[i], len);
		if (!mmio_table[i].reaches) {
			if (!mmio_table[i].is_write)
				assert_int_equal(answer, UINT64_MAX >> (64 - 8 * len));
			continue;
		}
		assert_int_equal(seen[k].is_write, mmio_table[i].is_write);
		assert_int_equal(seen[k].off, mmio_table[i].addr - 0xd0000000);
		assert_int_equal(seen[k].size, len);
		if (mmio_table[i].is_write)
			assert_int_equal(seen[k].value, sent);
		else
			assert_int_equal(answer, seen[k].value & UINT64_MAX >> (64 - 8 * len));
		k++;
	}
	assert_int_equal(n_seen, k);
	assert_int_equal(vcpu.exits[VCPU_EXIT_MMIO], N(mmio_table));
}

/* --- ends ------------------------------------------------------------------------------------ */

static const struct {
	uint32_t reason, system_event;
	int err; /* KVM_RUN fails */
	enum vcpu_event event;
	unsigned said;
} end_table[] = {
	{KVM_EXIT_SHUTDOWN, 0, 0, VCPU_TRIPLE_FAULT, 0},
	{KVM_EXIT_SYSTEM_EVENT, KVM_SYSTEM_EVENT_SHUTDOWN, 0, VCPU_POWER_OFF, 0},
	{KVM_EXIT_SYSTEM_EVENT, KVM_SYSTEM_EVENT_RESET, 0, VCPU_RESET, 0},
	{KVM_EXIT_SYSTEM_EVENT, KVM_SYSTEM_EVENT_CRASH, 0, VCPU_FAILED, 1},
	{KVM_EXIT_INTERNAL_ERROR, 0, 0, VCPU_BAD_EXIT, 0},
	{KVM_EXIT_FAIL_ENTRY, 0, 0, VCPU_BAD_EXIT, 0},
	{KVM_EXIT_UNKNOWN, 0, 0, VCPU_BAD_EXIT, 0},
	{KVM_EXIT_HLT, 0, 0, VCPU_BAD_EXIT, 0},
	{9999, 0, 0, VCPU_BAD_EXIT, 0},
	{0, 0, EIO, VCPU_FAILED, 1},
	{0, 0, ENOMEM, VCPU_FAILED, 1},
	{0, 0, EFAULT, VCPU_FAILED, 1},
};

static unsigned end_row;

static int end_script(struct kvm_run *run, unsigned n)
{
	/* What means nothing first: a signal, a wake-up, an exit that only returns. */
	if (n == 0)
		return EINTR;
	if (n == 1)
		return EAGAIN;
	if (n == 2) {
		run->exit_reason = KVM_EXIT_INTR;
		return 0;
	}
	run->exit_reason = end_table[end_row].reason;
	run->system_event.type = end_table[end_row].system_event;
	return end_table[end_row].err;
}

static void test_ends(void **state)
{
	(void)state;
	for (end_row = 0; end_row < N(end_table); end_row++) {
		runs = n_events = 0;
		said_clear();
		run_script(end_script);
		assert_int_equal(n_events, 1);
		if (last_event != end_table[end_row].event)
			fail_msg("row %u: event %d", end_row, last_event);
		assert_ptr_equal(event_vcpu, &vcpu);
		assert_int_equal(runs, 4); /* not entered again */
		assert_int_equal(said_count(), end_table[end_row].said);
	}
	assert_int_equal(vcpu.exits[VCPU_EXIT_SIGNAL], 2 * N(end_table));
}

/* A guest that never exits by itself; what ends KVM_RUN is immediate_exit. */
static int busy_script(struct kvm_run *run, unsigned n)
{
	(void)n;
	while (!__atomic_load_n(&run->immediate_exit, __ATOMIC_SEQ_CST))
		sched_yield();
	return EINTR;
}

static void test_stop(void **state)
{
	(void)state;
	script = busy_script;
	vcpu_stop(&vcpu); /* not started: nothing */
	vcpu_join(&vcpu);
	for (int i = 0; i < 200; i++) {
		assert_int_equal(vcpu_start(&vcpu), 0);
		if (i & 1)
			sched_yield();
		vcpu_stop(&vcpu);
		vcpu_join(&vcpu);
		/* A machine makes new vCPUs for each boot. */
		vcpu_destroy(&vcpu);
		assert_int_equal(vcpu_create(&vcpu, &kvm, 3, &env), 0);
		run_page = vcpu.run;
	}
	assert_int_equal(n_events, 0);
	assert_int_equal(unlocked_calls, 0);
}

static void test_create_fails(void **state)
{
	struct vcpu v;

	(void)state;
	said_start();
	create_answer = -EEXIST;
	assert_int_equal(vcpu_create(&v, &kvm, 3, &env), -EEXIST);
	assert_int_equal(said_count(), 1);
	vcpu_destroy(&v);

	/* A descriptor that cannot be mapped is closed again. */
	create_answer = open("/dev/null", O_RDWR | O_CLOEXEC);
	assert_true(create_answer >= 0);
	assert_int_equal(vcpu_create(&v, &kvm, 3, &env), -ENODEV);
	assert_int_equal(said_count(), 2);
	assert_int_equal(fcntl(create_answer, F_GETFD), -1);
	assert_int_equal(v.fd, -1);
	vcpu_destroy(&v);

	memset(&v, 0, sizeof(v));
	vcpu_destroy(&v);
	assert_true(fcntl(0, F_GETFD) >= 0); /* descriptor 0 was not its own */
	create_answer = 0;
}

#define VCPU_TEST(f) cmocka_unit_test_setup_teardown(f, start, stop)

int main(void)
{
	static const struct CMUnitTest tests[] = {
		VCPU_TEST(test_port_out), VCPU_TEST(test_port_in),
		VCPU_TEST(test_mmio),     VCPU_TEST(test_ends),
		VCPU_TEST(test_stop),     cmocka_unit_test(test_create_fails),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
