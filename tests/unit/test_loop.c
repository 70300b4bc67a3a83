/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * The event loop on a real io_uring ring: the order of a turn, wake-ups from other threads, waiting
 * for it and stopping it. A wake-up that is lost shows as a hang, so an alarm ends the program.
 * What it submits is in test_loop_io.c.
 */
#include <errno.h>
#include <poll.h>
#include <pthread.h>
#include <semaphore.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>
#include <sys/eventfd.h>
#include <unistd.h>

#include <cmocka.h>

#include "tests/lib/said.h"
#include "vmm/container_of.h"
#include "vmm/loop.h"

#define HANG_SECONDS 120
#define NONE         (-12345) /* no result yet */

static struct loop *loop;

static int start(void **state)
{
	(void)state;
	return loop_create(&loop, 64);
}

static int stop(void **state)
{
	(void)state;
	loop_destroy(loop);
	return 0;
}

/* An op whose result a test looks at. */
struct step {
	struct op op;
	int res;
	unsigned calls;
};

static unsigned outstanding; /* results until the loop stops */

static void step_done(struct op *op, int res)
{
	struct step *s = container_of(op, struct step, op);

	s->res = res;
	s->calls++;
	assert_true(outstanding > 0);
	if (--outstanding == 0)
		loop_stop(loop);
}

static struct step *step(struct step *s)
{
	*s = (struct step){.op.fn = step_done, .res = NONE};
	outstanding++;
	return s;
}

/* Submits from the loop's thread, lock held, as a device does. */
#define RUN(submit)                \
	do {                       \
		loop_lock(loop);   \
		submit;            \
		loop_unlock(loop); \
		loop_run(loop);    \
	} while (0)

/* --- loop_soon ----------------------------------------------------------------------------- */

static char order[32];

static void note_letter(char c)
{
	size_t n = strlen(order);

	assert_true(n + 1 < sizeof(order));
	order[n] = c;
	order[n + 1] = 0;
}

static void note(struct op *op, int res);
static struct op note_a = {.fn = note}, note_b = {.fn = note}, note_c = {.fn = note};

static void note(struct op *op, int res)
{
	assert_int_equal(res, 0);
	if (op == &note_a) {
		note_letter('a');
		loop_soon(loop, &note_c); /* for the next turn */
		loop_soon(loop, &note_c);
	} else if (op == &note_b) {
		note_letter('b');
	} else {
		note_letter('c');
		loop_stop(loop);
	}
}

static void test_soon_runs_once_and_in_order(void **state)
{
	(void)state;
	order[0] = '\0';
	loop_lock(loop);
	loop_soon(loop, &note_a);
	loop_soon(loop, &note_b);
	loop_soon(loop, &note_a);
	loop_unlock(loop);
	loop_run(loop);
	assert_string_equal(order, "abc");
}

struct again {
	struct op op;
	unsigned times;
};

static void again_fn(struct op *op, int res)
{
	struct again *a = container_of(op, struct again, op);

	(void)res;
	if (++a->times == 1000)
		loop_stop(loop);
	else
		loop_soon(loop, op);
}

static void test_soon_from_its_own_function(void **state)
{
	struct again a = {.op.fn = again_fn};

	(void)state;
	RUN(loop_soon(loop, &a.op));
	assert_int_equal(a.times, 1000);
}

/* What a completion asks for runs before the loop waits again. */
static struct loop_stats at_completion, at_bell;

static void bell(struct op *op, int res)
{
	(void)op;
	(void)res;
	loop_get_stats(loop, &at_bell);
	loop_stop(loop);
}

static struct op bell_op = {.fn = bell};

static void completion_rings(struct op *op, int res)
{
	(void)op;
	assert_int_equal(res, -EBADF);
	loop_get_stats(loop, &at_completion);
	loop_soon(loop, &bell_op);
}

static void test_bell_in_the_same_turn(void **state)
{
	struct op op = {.fn = completion_rings};

	(void)state;
	RUN(loop_fdatasync(loop, &op, -1));
	assert_int_equal(at_bell.turns, at_completion.turns);
	assert_true(at_bell.turns > 0);
	assert_true(at_bell.enters >= at_bell.turns);
	assert_true(at_bell.entries >= 1);
}

/* An op that comes back every turn does not shut completions out. */
static struct step starving;
static int starving_pipe[2];

static void restless_fn(struct op *op, int res)
{
	struct again *a = container_of(op, struct again, op);

	(void)res;
	if (starving.calls)
		return;
	if (++a->times == 10) /* when the read has long been submitted */
		assert_int_equal(write(starving_pipe[1], "x", 1), 1);
	if (a->times == 1000000)
		loop_stop(loop);
	else
		loop_soon(loop, op);
}

static void test_completions_come_between_soon_ops(void **state)
{
	struct again a = {.op.fn = restless_fn};
	char c;
	struct iovec v = {&c, 1};

	(void)state;
	assert_int_equal(pipe(starving_pipe), 0);
	step(&starving);
	loop_lock(loop);
	loop_readv(loop, &starving.op, starving_pipe[0], &v, 1, -1);
	loop_soon(loop, &a.op);
	loop_unlock(loop);
	loop_run(loop);
	assert_int_equal(starving.calls, 1);
	assert_int_equal(starving.res, 1);
	close(starving_pipe[0]);
	close(starving_pipe[1]);
}

/* --- other threads ------------------------------------------------------------------------- */

/* Asks for an op and waits until it has run, again and again. Each round needs its wake-up. */
struct asker {
	struct op op;
	sem_t ran;
	unsigned rounds, done;
	pthread_t thread;
};

static unsigned askers_left;

static void asked(struct op *op, int res)
{
	struct asker *a = container_of(op, struct asker, op);

	assert_int_equal(res, 0);
	a->done++;
	sem_post(&a->ran);
}

static void *ask(void *arg)
{
	struct asker *a = arg;

	for (unsigned i = 0; i < a->rounds; i++) {
		loop_lock(loop);
		loop_soon(loop, &a->op);
		loop_unlock(loop);
		while (sem_wait(&a->ran) < 0)
			;
	}
	loop_lock(loop);
	if (--askers_left == 0)
		loop_stop(loop);
	loop_unlock(loop);
	return NULL;
}

static void run_askers(unsigned n, unsigned rounds)
{
	struct asker a[4];

	askers_left = n;
	for (unsigned i = 0; i < n; i++) {
		a[i] = (struct asker){.op.fn = asked, .rounds = rounds};
		assert_int_equal(sem_init(&a[i].ran, 0, 0), 0);
		assert_int_equal(pthread_create(&a[i].thread, NULL, ask, &a[i]), 0);
	}
	loop_run(loop);
	for (unsigned i = 0; i < n; i++) {
		assert_int_equal(pthread_join(a[i].thread, NULL), 0);
		assert_int_equal(a[i].done, rounds);
		sem_destroy(&a[i].ran);
	}
}

static void test_soon_from_another_thread(void **state)
{
	(void)state;
	run_askers(1, 1);
}

static void test_no_wake_up_is_lost(void **state)
{
	(void)state;
	run_askers(2, 10000);
}

/* A reboot runs the loop again: a stop from outside must leave the doorbell in order. */
static void test_runs_again_after_stop(void **state)
{
	(void)state;
	for (int i = 0; i < 50; i++)
		run_askers(2, 3);
}

static void *stop_it(void *arg)
{
	sem_t *go = arg;

	while (sem_wait(go) < 0)
		;
	loop_lock(loop);
	loop_stop(loop);
	loop_unlock(loop);
	return NULL;
}

static void post(struct op *op, int res);

struct poster {
	struct op op;
	sem_t go;
};

static void post(struct op *op, int res)
{
	(void)res;
	sem_post(&container_of(op, struct poster, op)->go);
}

static void test_stop_from_another_thread(void **state)
{
	struct poster p = {.op.fn = post};
	pthread_t thread;

	(void)state;
	sem_init(&p.go, 0, 0);
	for (int i = 0; i < 100; i++) {
		assert_int_equal(pthread_create(&thread, NULL, stop_it, &p.go), 0);
		RUN(loop_soon(loop, &p.op));
		pthread_join(thread, NULL);
	}
	sem_destroy(&p.go);
}

/* One turn and no more: what is due now, or the first completion. */
static void test_run_once(void **state)
{
	struct again a = {.op.fn = again_fn};
	int ready = eventfd(1, EFD_CLOEXEC);
	struct step s;

	(void)state;
	loop_lock(loop);
	loop_soon(loop, &a.op);
	loop_unlock(loop);
	loop_run_once(loop);
	assert_int_equal(a.times, 1);
	loop_run_once(loop);
	assert_int_equal(a.times, 2);
	a.times = 998;
	loop_run_once(loop);
	assert_int_equal(a.times, 999);
	loop_run(loop);
	assert_int_equal(a.times, 1000);

	step(&s);
	outstanding++; /* no stop */
	loop_lock(loop);
	loop_watch(loop, &s.op, ready, POLLIN);
	loop_unlock(loop);
	loop_run_once(loop);
	assert_int_equal(s.calls, 1);
	assert_int_equal(s.res, POLLIN);
	outstanding = 0;
	close(ready);
}

static void test_stop_before_run(void **state)
{
	struct again a = {.op.fn = again_fn, .times = 999};

	(void)state;
	loop_lock(loop);
	loop_stop(loop);
	loop_unlock(loop);
	loop_run(loop); /* ends at once */
	RUN(loop_soon(loop, &a.op));
	assert_int_equal(a.times, 1000);
}

/* A vCPU that waits for the loop's thread, as a legacy driver's reset does. */
struct waiter {
	struct op op;
	pthread_t thread;
	unsigned rounds, done;
	int nothing_comes; /* the loop stops instead */
	int result;
};

static void finish_round(struct op *op, int res)
{
	struct waiter *w = container_of(op, struct waiter, op);

	(void)res;
	if (w->nothing_comes) {
		loop_stop(loop);
		return;
	}
	w->done++;
	loop_notify(loop);
}

static void *wait_for_it(void *arg)
{
	struct waiter *w = arg;

	loop_lock(loop);
	for (unsigned i = 0; i < w->rounds; i++) {
		loop_soon(loop, &w->op);
		while (w->done == i && w->result == 0)
			w->result = loop_wait(loop);
	}
	loop_stop(loop);
	loop_unlock(loop);
	return NULL;
}

static void test_wait_and_notify(void **state)
{
	struct waiter w = {.op.fn = finish_round, .rounds = 1000};

	(void)state;
	assert_int_equal(pthread_create(&w.thread, NULL, wait_for_it, &w), 0);
	loop_run(loop);
	pthread_join(w.thread, NULL);
	assert_int_equal(w.done, 1000);
	assert_int_equal(w.result, 0);
}

static void *wait_in_vain(void *arg)
{
	struct waiter *w = arg;

	loop_lock(loop);
	loop_soon(loop, &w->op);
	while (w->result == 0)
		w->result = loop_wait(loop);
	loop_unlock(loop);
	return NULL;
}

/* The loop stops, and nobody waits for it for ever: before, at, or after its end. */
static void test_wait_ends_with_the_loop(void **state)
{
	(void)state;
	for (int i = 0; i < 200; i++) {
		struct waiter w = {.op.fn = finish_round, .nothing_comes = 1};

		assert_int_equal(pthread_create(&w.thread, NULL, wait_in_vain, &w), 0);
		loop_run(loop);
		pthread_join(w.thread, NULL);
		assert_int_equal(w.result, -ECANCELED);
		w.result = 0;
		assert_int_equal(pthread_create(&w.thread, NULL, wait_in_vain, &w), 0);
		pthread_join(w.thread, NULL);
		assert_int_equal(w.result, -ECANCELED);
		RUN(loop_stop(loop)); /* and takes the op that was asked for */
	}
}

#define LOOP_TEST(f) cmocka_unit_test_setup_teardown(f, start, stop)

int main(void)
{
	static const struct CMUnitTest tests[] = {
		LOOP_TEST(test_soon_runs_once_and_in_order),
		LOOP_TEST(test_soon_from_its_own_function),
		LOOP_TEST(test_bell_in_the_same_turn),
		LOOP_TEST(test_completions_come_between_soon_ops),
		LOOP_TEST(test_soon_from_another_thread),
		LOOP_TEST(test_no_wake_up_is_lost),
		LOOP_TEST(test_runs_again_after_stop),
		LOOP_TEST(test_stop_from_another_thread),
		LOOP_TEST(test_wait_and_notify),
		LOOP_TEST(test_wait_ends_with_the_loop),
		LOOP_TEST(test_run_once),
		LOOP_TEST(test_stop_before_run),
	};

	said_start();
	if (loop_create(&loop, 8) < 0) {
		printf("%s\n", said());
		return 77;
	}
	loop_destroy(loop);
	alarm(HANG_SECONDS);
	return cmocka_run_group_tests(tests, NULL, NULL);
}
